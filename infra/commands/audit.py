"""The audit trail for the operator: what happened, and whether what is sealed is unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from infra.commands.options import (
    json_option,
    organization_argument,
    organization_id_of,
    print_rows,
    stage_option,
)

if TYPE_CHECKING:
    from infra.sealed_events import Checked

HEADINGS = ("Sequence", "Time", "Type", "Actor", "Address", "Target")


@click.group()
def audit() -> None:
    """Read the events of an organisation, and verify the sealed ones."""


@audit.command()
@organization_argument
@click.option("--actor", help="Only what this user or key did: its id.")
@click.option("--target", help="Only what happened to this file, user or key: its id.")
@click.option("--type", "types", multiple=True, help="Only this type; file.* for all of files. Can be repeated.")
@click.option("--from", "earliest", help="From this time on, such as 2026-11-25T10:00:00Z.")
@click.option("--to", "latest", help="Up to this time.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@stage_option
@json_option
def events(
    organization: str,
    actor: str | None,
    target: str | None,
    types: tuple[str, ...],
    earliest: str | None,
    latest: str | None,
    limit: int,
    stage: str,
    as_json: bool,
) -> None:
    """Print the newest events of an organisation. Failed logins with unknown names are those of "nobody"."""
    from chalicelib.audit.trail import back_to, newest_to_read, read_filters
    from chalicelib.events.records import NOBODYS_ORGANIZATION
    from infra.environment import open_stores

    stores = open_stores(stage)
    organization_id = NOBODYS_ORGANIZATION
    if organization != NOBODYS_ORGANIZATION:
        organization_id = organization_id_of(stores, organization)
    filters = read_filters(actor, target, list(types) or None, earliest, latest)
    found = []
    for event in back_to(stores, organization_id, filters, newest_to_read(stores, organization_id, filters)):
        told = event.to_json()
        if filters.match(told):
            found.append(told)
        if len(found) >= limit:
            break
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    print_rows(HEADINGS, [_row(event) for event in found], as_json)


@audit.command()
@organization_argument
@click.argument("target")
@click.option("--type", "types", multiple=True, help="Only this type, such as file.deleted. Can be repeated.")
@stage_option
@json_option
def history(organization: str, target: str, types: tuple[str, ...], stage: str, as_json: bool) -> None:
    """Print who did what to TARGET (the id of a file, user or key), from where and when, and verify the seals.

    Reads every sealed file of the organisation, so it also finds what the feed no longer has. Exit code 1 when anything
    that is sealed was changed.
    """
    from chalicelib.audit.trail import read_filters
    from infra.audit_history import read_history
    from infra.environment import open_stores

    stores = open_stores(stage)
    found = read_history(
        stores, organization_id_of(stores, organization), read_filters(None, target, list(types) or None, None, None)
    )
    if as_json:
        entries = [entry.event | {"sealed_in": entry.sealed_in} for entry in found.entries]
        click.echo(json.dumps({"events": entries, "verified": vars(found.checked)}, indent=2, ensure_ascii=False))
    else:
        rows = [
            [*_row(entry.event)[:-1], entry.event["actor"].get("program", "-"), entry.sealed_in or "not yet"]
            for entry in found.entries
        ]
        print_rows([*HEADINGS[:-1], "Program", "Sealed in"], rows, as_json)
        click.echo(f"{found.checked.files} sealed files with {found.checked.events} events were verified.")
    _fail_for_faults([found.checked], as_json)


@audit.command()
@click.option("--organization", help="Only this one, by name or id; all without it.")
@stage_option
@json_option
def verify(organization: str | None, stage: str, as_json: bool) -> None:
    """Recompute every hash of the sealed events, and compare them with the feed. Exit code 1 when anything differs."""
    from chalicelib.events.records import NOBODYS_ORGANIZATION
    from infra.environment import open_stores
    from infra.sealed_events import check_sealed_events

    stores = open_stores(stage)
    chosen = (
        [organization_id_of(stores, organization)]
        if organization
        else [NOBODYS_ORGANIZATION, *stores.organizations.ids()]
    )
    checked = [check_sealed_events(stores, one) for one in chosen]
    if as_json:
        click.echo(json.dumps([vars(one) for one in checked], indent=2))
    else:
        rows = [[one.organization_id, one.files, one.events, len(one.faults) or "none"] for one in checked]
        print_rows(["Organization", "Files", "Sealed events", "Faults"], rows, as_json)
    _fail_for_faults(checked, as_json)


@audit.command("verify-export")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def verify_export(files: tuple[Path, ...], as_json: bool) -> None:
    """Check saved exports by their last lines. Several FILES have to follow each other. Asks no stage.

    Exit code 1 when one was changed or shortened, or when more is to be exported.
    """
    from infra.exported_events import check_exports

    checked = check_exports(files)
    if as_json:
        told = [
            {"file": str(one.path), "faults": one.faults, "summary": one.summary and vars(one.summary)}
            for one in checked
        ]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        rows = [
            [
                one.path,
                one.summary.events if one.summary else "-",
                one.summary.sha256 if one.summary else "-",
                len(one.faults) or "none",
            ]
            for one in checked
        ]
        print_rows(["File", "Events", "SHA-256", "Faults"], rows, as_json)
        for one in checked:
            for fault in one.faults:
                click.echo(f"{one.path}: {fault}", err=True)
    faults = sum(len(one.faults) for one in checked)
    if faults:
        raise click.ClickException(f"The exports are not whole and unchanged: {faults} faults.")


def _row(event: dict[str, Any]) -> list[Any]:
    """The columns of HEADINGS."""
    actor, target = event["actor"], event["target"]
    who = f"{actor['type']} {actor.get('name', '')}".strip()
    what = f"{target['type']} {target['id']}"
    return [event["sequence"], event["time"], event["type"], who, actor.get("address", "-"), what]


def _fail_for_faults(checked: list[Checked], as_json: bool) -> None:
    """:raises ClickException: what is sealed was changed."""
    if not as_json:
        for one in checked:
            for fault in one.faults:
                click.echo(f"{one.organization_id}: {fault}", err=True)
    faults = sum(len(one.faults) for one in checked)
    if faults:
        # Not click's Exit, which the program takes for success.
        raise click.ClickException(f"What is sealed and what is stored differ in {faults} places.")


COMMANDS = (audit,)
