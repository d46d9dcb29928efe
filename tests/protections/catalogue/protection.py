"""One entry of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Protection:
    """``tests`` are pytest's node ids; each of them has to fail without the protection."""

    name: str
    file: str
    text: str
    without: str
    tests: tuple[str, ...]
