"""Looking after the data of a running deployment: redrive, reprocess, sweep, recount."""

from __future__ import annotations

from typing import Any

import click

from infra.commands.options import (
    dry_run_option,
    json_option,
    organization_argument,
    organization_id_of,
    print_result,
    stage_option,
)


@click.command()
@stage_option
@click.option("--limit", type=click.IntRange(min=1), help="At most so many messages. Default: all that are there now.")
@dry_run_option
@json_option
def redrive(stage: str, limit: int | None, dry_run: bool, as_json: bool) -> None:
    """Put dead letters back into the uploads queue, so that their files are processed again."""
    from infra.environment import open_stores
    from infra.redrive import count_dead_letters
    from infra.redrive import redrive as run

    stores = open_stores(stage)
    if dry_run:
        there = count_dead_letters(stores)
        print_result(f"There are {there} dead letters.", {"dead_letters": there, "moved": 0}, as_json)
        return
    moved = run(stores, lambda line: click.echo(line, err=as_json), limit)
    print_result(f"{moved} messages moved." if moved else "There are no dead letters.", {"moved": moved}, as_json)


@click.command()
@organization_argument
@click.argument("file_id")
@stage_option
@json_option
def reprocess(organization: str, file_id: str, stage: str, as_json: bool) -> None:
    """Have a failed or stuck file processed again, if its bytes are still there."""
    from chalicelib.events.records import Target
    from chalicelib.kernel.errors import BadInput
    from infra.environment import open_stores
    from infra.operator_events import tell

    stores = open_stores(stage)
    organization_id = organization_id_of(stores, organization)
    file = stores.files.find(organization_id, file_id)
    if file is None:
        raise BadInput(f"There is no file {file_id} of organisation {organization_id}.")
    if file.status == "completed":
        raise BadInput(f"File {file_id} is completed; there is nothing to process again.")
    if not stores.objects.temp_exists(organization_id, file_id):
        raise BadInput(f"The bytes of file {file_id} are not in the temp bucket any more. It must be uploaded again.")
    stores.queue.announce(organization_id, file_id)
    tell(stores, "reprocess", organization_id=organization_id, target=Target("file", file_id))
    facts = {"id": file_id, "organization_id": organization_id, "status": file.status, "queued": True}
    print_result(f"File {file_id} ({file.status}) is queued for processing.", facts, as_json)


@click.command()
@stage_option
@click.option(
    "--stale-seconds", type=click.IntRange(min=0), help="What counts as overdue. Default: as the scheduled sweep, 900."
)
@json_option
def sweep(stage: str, stale_seconds: int | None, as_json: bool) -> None:
    """Repair what was left open: stuck files, unfinished deletions, objects that nobody owns. Also runs by itself."""
    from chalicelib.sweep import sweeping
    from infra.environment import open_stores
    from infra.operator_events import tell

    seconds = sweeping.STALE_SECONDS if stale_seconds is None else stale_seconds
    click.echo(f"Sweeping what has been silent for {seconds} seconds ...", err=as_json)
    stores = open_stores(stage)
    done = sweeping.sweep(stores, stale_seconds=seconds)
    if done:
        tell(stores, "sweep", stale_seconds=seconds, done=dict(done))
    lines = [f"  {what:<20} {times}" for what, times in sorted(done.items())] or ["  Nothing to do."]
    print_result("\n".join(lines), {"done": dict(sorted(done.items()))}, as_json)


@click.command()
@organization_argument
@click.option("--repair", is_flag=True, help="Write what the rows say.")
@stage_option
@json_option
def recount(organization: str, repair: bool, stage: str, as_json: bool) -> None:
    """Prove an organisation's counters and quota use against its rows. Exit code 1 when they differ and stay so."""
    from chalicelib.files import recounting
    from infra.environment import open_stores

    stores = open_stores(stage)
    organization_id = organization_id_of(stores, organization)
    click.echo("Counting ...", err=as_json)
    counted = recounting.recount(stores, organization_id)
    files = sum(counted.counts.values())
    facts = {
        "id": organization_id,
        "files": files,
        "bytes": counted.bytes_used,
        "differences": counted.differences,
        "repaired": bool(counted.differences) and repair,
    }
    if not counted.differences:
        print_result(f"Right: {files} files, {counted.bytes_used} bytes in use.", facts, as_json)
        return
    if not as_json or not repair:
        print_result("\n".join(f"  {line}" for line in counted.differences), facts, as_json)
    if not repair:
        raise click.ClickException(
            "The counters differ from the rows. Run again with --repair to write what the rows say."
        )
    recounting.repair(stores, counted)
    print_result("Repaired.", facts, as_json)


COMMANDS: tuple[Any, ...] = (redrive, reprocess, sweep, recount)
