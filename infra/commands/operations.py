"""Looking after a running deployment: status, deploy, redrive, reprocess, sweep, recount."""

from __future__ import annotations

import json
from typing import Any

import click

from infra.commands.options import stage_option


@click.command()
@stage_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def status(stage: str, as_json: bool) -> None:
    """Show what a deployment is made of and how it is: dependencies, queues, migrations."""
    from infra.environment import open_stores
    from infra.status import gather

    found = gather(open_stores(stage))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for section, facts in found.items():
        click.echo(section)
        for name, value in facts.items():
            click.echo(f"  {name:<26} {value}")


@click.command()
@stage_option
@click.option(
    "--parameter", "-p", "pairs", multiple=True, metavar="NAME=VALUE", help="A template parameter (repeatable)."
)
@click.option("--allow-data-loss", is_flag=True, help="Go on even if a table or bucket would be removed or replaced.")
def deploy(stage: str, pairs: tuple[str, ...], allow_data_loss: bool) -> None:
    """Package, and create or update the stack of a stage; then apply migrations.

    \b
    Examples:
      python -m infra deploy --stage prod -p AlarmEmail=ops@example.com
      python -m infra deploy --stage test -p CacheUrl=redis://cache.internal:6379/0
    """
    import boto3

    from infra.environment import point_clients
    from infra.migrations.runner import migrate as run_migrations
    from infra.release import deploy as release

    parameters = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise click.UsageError(f"{pair!r} is not of the form NAME=VALUE.")
        parameters[name] = value

    def migrate(outputs: dict[str, str]) -> None:
        from infra.environment import open_stores
        from infra.operator_events import tell

        stores = open_stores(stage)
        applied = run_migrations(stores, click.echo)
        # The values of parameters may be secrets, such as the cache's address.
        tell(stores, "deploy", parameters=sorted(parameters), applied=applied)

    point_clients(stage)
    release(
        boto3.Session(),
        stage,
        parameters,
        report=click.echo,
        migrate=migrate,
        allow_data_loss=allow_data_loss,
    )


@click.command()
@stage_option
@click.option("--limit", type=click.IntRange(min=1), help="At most so many messages. Default: all that are there now.")
def redrive(stage: str, limit: int | None) -> None:
    """Put dead letters back into the uploads queue, so that their files are processed again."""
    from infra.environment import open_stores
    from infra.redrive import redrive as run

    moved = run(open_stores(stage), click.echo, limit)
    click.echo(f"{moved} messages moved." if moved else "There are no dead letters.")


@click.command()
@click.argument("organization_id")
@click.argument("file_id")
@stage_option
def reprocess(organization_id: str, file_id: str, stage: str) -> None:
    """Have a failed or stuck file processed again, if its bytes are still there."""
    from chalicelib.events.records import Target
    from chalicelib.kernel.errors import BadInput
    from infra.environment import open_stores
    from infra.operator_events import tell

    stores = open_stores(stage)
    file = stores.files.find(organization_id, file_id)
    if file is None:
        raise BadInput(f"There is no file {file_id} of organisation {organization_id}.")
    if file.status == "completed":
        raise BadInput(f"File {file_id} is completed; there is nothing to process again.")
    if not stores.objects.temp_exists(organization_id, file_id):
        raise BadInput(f"The bytes of file {file_id} are not in the temp bucket any more. It must be uploaded again.")
    stores.queue.announce(organization_id, file_id)
    tell(stores, "reprocess", organization_id=organization_id, target=Target("file", file_id))
    click.echo(f"File {file_id} ({file.status}) is queued for processing.")


@click.command()
@stage_option
@click.option(
    "--stale-seconds", type=click.IntRange(min=0), help="What counts as overdue. Default: as the scheduled sweep, 900."
)
def sweep(stage: str, stale_seconds: int | None) -> None:
    """Repair what was left open: stuck files, unfinished deletions, objects that nobody owns. Also runs by itself."""
    from chalicelib.sweep import sweeping
    from infra.environment import open_stores
    from infra.operator_events import tell

    seconds = sweeping.STALE_SECONDS if stale_seconds is None else stale_seconds
    click.echo(f"Sweeping what has been silent for {seconds} seconds ...")
    stores = open_stores(stage)
    done = sweeping.sweep(stores, stale_seconds=seconds)
    if done:
        tell(stores, "sweep", stale_seconds=seconds, done=dict(done))
    for what, times in sorted(done.items()):
        click.echo(f"  {what:<20} {times}")
    if not done:
        click.echo("  Nothing to do.")


@click.command()
@click.argument("organization_id")
@click.option("--repair", is_flag=True, help="Write what the rows say.")
@stage_option
def recount(organization_id: str, repair: bool, stage: str) -> None:
    """Prove an organisation's counters and quota use against its rows. Exit code 1 when they differ and stay so."""
    from chalicelib.files import recounting
    from infra.environment import open_stores

    stores = open_stores(stage)
    click.echo("Counting ...")
    counted = recounting.recount(stores, organization_id)
    files = sum(counted.counts.values())
    if not counted.differences:
        click.echo(f"Right: {files} files, {counted.bytes_used} bytes in use.")
        return
    for line in counted.differences:
        click.echo(f"  {line}")
    if not repair:
        raise click.ClickException(
            "The counters differ from the rows. Run again with --repair to write what the rows say."
        )
    recounting.repair(stores, counted)
    click.echo("Repaired.")


COMMANDS: tuple[Any, ...] = (status, deploy, redrive, reprocess, sweep, recount)
