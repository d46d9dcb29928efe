"""What the commands share: the stage, ways to print, ways to read a password."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

stage_option = click.option(
    "--stage", envvar="STAGE", default="local", show_default=True, help="Which deployment. Also: the variable STAGE."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def password_options(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--password-stdin", is_flag=True, help="Read the password from the first line of standard input."
    )(command)


def read_password(from_stdin: bool, confirm: bool = True) -> str:
    """Ask at the terminal, or read a line of standard input. Never an argument: those are seen by all (ps).

    :param confirm: ask twice, as for a new password.
    """
    if from_stdin:
        try:
            password = sys.stdin.readline().rstrip("\r\n")
            password.encode()
        except UnicodeError:
            # Taken as it is, nobody could sign in with it. Not "from error", whose text would show some of it.
            raise click.UsageError("The password on standard input is not UTF-8.") from None
        if not password:
            raise click.UsageError("--password-stdin was given, but standard input has no first line.")
        return password
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=confirm))


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[Any]], as_json: bool) -> None:
    """A table for people, or a list of objects."""
    if as_json:
        names = [heading.lower().replace(" ", "_") for heading in headings]
        click.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
        return
    if not rows:
        click.echo("None.")
        return
    cells = [[str(cell) for cell in row] for row in [headings, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    for row in cells:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
