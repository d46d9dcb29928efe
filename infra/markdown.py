"""Tables for the pages that programs write."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], numbers: Collection[str] = ()) -> str:
    """:param numbers: the headings of columns that are aligned to the right."""
    marks = ("--:" if heading in numbers else "---" for heading in headings)
    return "\n".join([_line(headings), f"|{'|'.join(marks)}|", *map(_line, rows)])


def _line(cells: Sequence[object]) -> str:
    # One space between the bars of an empty cell.
    return "|" + "|".join(f" {cell} " if str(cell) else " " for cell in cells) + "|"
