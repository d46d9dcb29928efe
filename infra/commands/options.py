"""What the commands share: the stage, sizes, organisations by name, confirmation, ways to print, passwords."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from chalicelib.wiring import Stores

# As in infra/parameters.py, which is loaded when a command runs; a test compares them.
STAGE_PATTERN = r"[a-z0-9]{1,16}"
_UNITS: dict[str, int] = {"": 1, "b": 1} | {
    f"{letter}{middle}b": base**power
    for power, letter in enumerate("kmgtp", start=1)
    for middle, base in (("", 1000), ("i", 1024))
}


def _checked_stage(context: click.Context, option: click.Parameter, stage: str) -> str:
    if re.fullmatch(STAGE_PATTERN, stage) is None:
        raise click.BadParameter(f"{stage!r} is no name of a stage: those have 1 to 16 small letters and digits.")
    return stage


stage_option = click.option(
    "--stage",
    envvar="STAGE",
    default="local",
    show_default=True,
    callback=_checked_stage,
    help="Which deployment. Also: the variable STAGE.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
dry_run_option = click.option("--dry-run", is_flag=True, help="Only show what would be done.")


class Size(click.ParamType[int]):
    """Bytes, as ``5GB`` (1000³ each) or ``5GiB`` (1024³); a number alone is bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"\s*(-?[0-9]+)(\.[0-9]+)?\s*([a-z]*)\s*", value.lower())
        if found is None or found[3] not in _UNITS or (found[2] and _UNITS[found[3]] == 1):
            self.fail(f"{value!r} is no size such as 500000, 50MB, 5GB or 5GiB.", param, ctx)
        # Not as a float, which would round the large ones.
        unit, fraction = _UNITS[found[3]], found[2] or ".0"
        tenths: int = 10 ** (len(fraction) - 1)
        return int(found[1]) * unit + int(fraction[1:]) * unit // tenths


SIZE = Size()


def organization_argument(command: Callable[..., Any]) -> Callable[..., Any]:
    """An id or a name; :func:`organization_id_of` makes the id of it."""
    return click.argument("organization", metavar="ORGANIZATION")(command)


def organization_id_of(stores: Stores, organization: str) -> str:
    """The id of an organisation that is named by its id or its name. Reads all of them for a name.

    :raises BadInput: there is none, or there are several of that name.
    """
    import difflib

    from chalicelib import keys
    from chalicelib.kernel.errors import BadInput
    from chalicelib.tenants.organizations import list_organizations

    if keys.is_organization_id(organization):
        return organization
    known = list(list_organizations(stores))
    wanted = organization.strip().casefold()
    found = [one.organization_id for one in known if one.name.casefold() == wanted]
    if len(found) == 1:
        return found[0]
    if found:
        raise BadInput(f"{len(found)} organisations are called {organization}. Say which: {', '.join(sorted(found))}.")
    like = difflib.get_close_matches(organization, [one.name for one in known], n=1)
    raise BadInput(f"There is no organisation {organization}." + (f" Did you mean {like[0]!r}?" if like else ""))


def require_yes(question: str, yes: bool) -> None:
    """Ask, unless ``--yes`` was given. Without a terminal, and so without an answer, nothing is done.

    :raises Abort: the answer is no.
    """
    if yes:
        return
    try:
        click.confirm(question, abort=True, err=True)
    except click.Abort:
        if not sys.stdin.isatty():
            click.echo("", err=True)
            click.echo("Nothing was done. Where nobody can answer, give --yes.", err=True)
        raise


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


def print_result(sentence: str, facts: Mapping[str, Any], as_json: bool) -> None:
    """What a command has done: a sentence for people, or facts for programs."""
    click.echo(json.dumps(facts, indent=2, ensure_ascii=False) if as_json else sentence)


def print_sections(sections: Mapping[str, Mapping[str, Any]], as_json: bool) -> None:
    """Sections of named facts."""
    if as_json:
        click.echo(json.dumps(sections, indent=2, ensure_ascii=False))
        return
    for section, facts in sections.items():
        click.echo(section)
        for name, value in facts.items():
            click.echo(f"  {name:<26} {value}")


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
