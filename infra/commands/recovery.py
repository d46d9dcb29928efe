"""Backups, and bringing back what was deleted."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import click

from infra.commands.options import (
    dry_run_option,
    json_option,
    organization_id_of,
    print_result,
    print_rows,
    require_yes,
    stage_option,
    yes_option,
)


@click.command()
@click.option("--name", help="3 to 255 letters, digits, dots, dashes, underscores. Default: the time.")
@click.option("--list", "only_list", is_flag=True, help="Only list the backups that there are.")
@click.option("--delete", "deleted", metavar="NAME", help="Delete the backup of this name.")
@yes_option
@stage_option
@json_option
def backup(name: str | None, only_list: bool, deleted: str | None, yes: bool, stage: str, as_json: bool) -> None:
    """Make a backup of all tables, which stays until it is deleted.

    Point-in-time recovery covers the last 35 days without it, and the permanent bucket keeps deleted objects for
    OldVersionDays: a backup that is older than that brings back rows, but no bytes.
    """
    from infra.environment import open_stores
    from infra.operator_events import tell
    from infra.recovery import delete_backup, list_backups, make_backup

    stores = open_stores(stage)
    prefix = stores.settings.table_prefix
    if only_list:
        rows = [[one.name, one.created_at, one.tables, one.bytes] for one in list_backups(prefix)]
        print_rows(["Name", "Created", "Tables", "Bytes"], rows, as_json)
        return
    if deleted is not None:
        require_yes(f"Delete the backup {deleted} of the stage {stage}?", yes)
        count = delete_backup(prefix, deleted)
        if count:
            tell(stores, "backup --delete", name=deleted)
        print_result(f"{count} tables' backups are deleted.", {"name": deleted, "tables": count}, as_json)
        return
    name = name or datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    made = make_backup(prefix, name, lambda line: click.echo(line, err=as_json))
    tell(stores, "backup", name=name)
    print_result(f"The backup {made.name} has {made.tables} tables.", asdict(made), as_json)


@click.command()
@click.option("--to", "moment", help="As of this time of the last 35 days, such as 2026-01-31T09:00:00Z.")
@click.option("--backup", "backup_name", help="As of this backup.")
@click.option("--organization", help="Only of this one, by name or id.")
@click.option("--file", "file_ids", multiple=True, help="Only this file (repeatable): its id.")
@click.option(
    "--with-accounts", is_flag=True, help="Also organisations, users, API keys, invitations and webhooks that are gone."
)
@yes_option
@dry_run_option
@stage_option
@json_option
def restore(
    moment: str | None,
    backup_name: str | None,
    organization: str | None,
    file_ids: tuple[str, ...],
    with_accounts: bool,
    yes: bool,
    dry_run: bool,
    stage: str,
    as_json: bool,
) -> None:
    """Bring back files that were deleted since: rows, counters and objects. What exists today stays as it is.

    \b
    Examples:
      strongroom restore --to 2026-01-31T09:00:00Z --organization "Acme Corp" --dry-run
      strongroom restore --backup 20260131T090000Z --organization ORGANIZATION_ID --with-accounts
    """
    from infra.environment import open_stores
    from infra.recovery import Source
    from infra.recovery import restore as run

    if (moment is None) == (backup_name is None):
        raise click.UsageError("Give either --to or --backup.")
    stores = open_stores(stage)
    organization_id = organization_id_of(stores, organization) if organization is not None else None
    source = Source(_read_moment(moment) if moment is not None else None, backup_name)
    if not dry_run:
        whose = f"of {organization} " if organization is not None else "of all organisations "
        require_yes(f"Bring back what was deleted {whose}since {source}, on the stage {stage}?", yes)
    done = run(
        stores,
        source,
        organization_id,
        file_ids,
        rows=with_accounts,
        dry_run=dry_run,
        report=lambda line: click.echo(line, err=as_json),
    )
    facts: dict[str, Any] = {**asdict(done), "restored": not dry_run}
    if as_json:
        click.echo(json.dumps(facts, indent=2))
    else:
        for line in done.refused:
            click.echo(f"  {line}", err=True)
        verb = "could be" if dry_run else "are"
        click.echo(f"{done.files} files and {done.rows} rows {verb} back.")
    if done.refused:
        raise click.ClickException(f"{len(done.refused)} files can't be brought back.")


def _read_moment(text: str) -> datetime:
    """:raises UsageError: no time with its zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = datetime.min
    if found.tzinfo is None:
        raise click.UsageError(f"--to: {text!r} is no time such as 2026-01-31T09:00:00Z.")
    return found.astimezone(UTC)


COMMANDS: tuple[Any, ...] = (backup, restore)
