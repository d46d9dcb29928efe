"""Whole deployments: status, preflight, deploy, releases, rollback, logs, destroy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from infra.commands.options import (
    dry_run_option,
    json_option,
    print_result,
    print_rows,
    print_sections,
    require_yes,
    stage_option,
    yes_option,
)

if TYPE_CHECKING:
    from infra.release_history import Record
    from infra.stack_changes import Change

#: AWS's most (CloudFormation, RollbackConfiguration).
MAX_WATCH_MINUTES = 180
# As in infra/functions.py, which is loaded when a command runs; a test compares them.
FUNCTION = click.Choice(["api", "process", "sweep", "publish", "deliver", "audit"])


@click.command()
@stage_option
@json_option
def status(stage: str, as_json: bool) -> None:
    """Show what a deployment is made of and how it is: API, dependencies, cache, queues, migrations."""
    from infra.environment import api_address, open_stores
    from infra.status import gather

    stores = open_stores(stage)
    print_sections(gather(stores, api_address(stage)), as_json)


@click.command()
@stage_option
@click.option(
    "--parameter", "-p", "pairs", multiple=True, metavar="NAME=VALUE", help="A template parameter (repeatable)."
)
@click.option("--allow-data-loss", is_flag=True, help="Go on even if a table or bucket would be removed or replaced.")
@click.option("--unchecked", is_flag=True, help="Do not try the new version first, nor take it back if it fails.")
@click.option(
    "--watch-minutes",
    type=click.IntRange(0, MAX_WATCH_MINUTES),
    default=0,
    show_default=True,
    help="Watch the alarms for so long after an update; one that goes off takes it back.",
)
@click.option("--new-runtime", is_flag=True, help="The functions may get another version of Python than they have.")
@dry_run_option
@yes_option
@json_option
def deploy(
    stage: str,
    pairs: tuple[str, ...],
    allow_data_loss: bool,
    unchecked: bool,
    watch_minutes: int,
    new_runtime: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Package, try, and create or update the stack of a stage; then apply migrations. Asks once the changes are shown.

    \b
    Examples:
      strongroom deploy --stage prod -p AlarmEmail=ops@example.com
      strongroom deploy --stage test -p CacheUrl=redis://cache.internal:6379/0
      strongroom deploy --stage prod --dry-run
    """
    import boto3

    from infra.environment import point_clients
    from infra.migrations.runner import migrate as run_migrations
    from infra.parameters import read_pairs
    from infra.release import deploy as release

    parameters = read_pairs(pairs)

    def report(line: str) -> None:
        click.echo(line, err=as_json)

    def migrate(outputs: dict[str, str]) -> None:
        from infra.environment import open_stores
        from infra.operator_events import tell

        stores = open_stores(stage)
        applied = run_migrations(stores, report)
        # The values of parameters may be secrets, such as the cache's address.
        tell(stores, "deploy", parameters=sorted(parameters), applied=applied)

    def confirm(changes: list[Change]) -> bool:
        try:
            require_yes("Make these changes?", yes)
        except click.Abort:
            return False
        return True

    point_clients(stage)
    done = release(
        boto3.Session(),
        stage,
        parameters,
        report=report,
        migrate=migrate,
        allow_data_loss=allow_data_loss,
        unchecked=unchecked,
        confirm=confirm,
        dry_run=dry_run,
        new_runtime=new_runtime,
        watch_minutes=watch_minutes,
    )
    if as_json:
        facts = {"stack": done.stack_name, "url": done.url, "changed": done.changed, "outputs": done.outputs}
        click.echo(json.dumps(facts, indent=2))


@click.command()
@stage_option
@click.option(
    "--parameter", "-p", "pairs", multiple=True, metavar="NAME=VALUE", help="As 'deploy' will get it (repeatable)."
)
@json_option
def preflight(stage: str, pairs: tuple[str, ...], as_json: bool) -> None:
    """Look at an account before a deployment: credentials, names, quotas, permissions. Makes and changes nothing.

    Exit code 1 when a deployment would fail.
    """
    import boto3

    from infra.environment import point_clients
    from infra.parameters import read_pairs
    from infra.preflight import State
    from infra.preflight import preflight as look

    given = read_pairs(pairs)
    point_clients(stage)
    found = look(boto3.Session(), stage, given)
    if as_json:
        click.echo(json.dumps([vars(one) for one in found], indent=2))
    else:
        for one in found:
            click.echo(f"{one.state:<8} {one.check:<12} {one.sentence}")
    wrong = [one for one in found if one.state is State.WRONG]
    if wrong:
        raise click.ClickException(f"A deployment would fail: {', '.join(one.check for one in wrong)}.")


@click.command()
@stage_option
@json_option
def releases(stage: str, as_json: bool) -> None:
    """List the versions that a stage has run, the newest first."""
    rows = [[one.release_id, one.version, one.digest[:12]] for one in _records(stage)]
    print_rows(["Release", "Version", "Package"], rows, as_json)


@click.command()
@click.argument("release", required=False)
@yes_option
@dry_run_option
@stage_option
@json_option
def rollback(release: str | None, yes: bool, dry_run: bool, stage: str, as_json: bool) -> None:
    """Return to RELEASE, or to the version before: its code, its template and its parameters.

    Data stays as it is, and so do secrets. Migrations are not undone; they only add.
    """
    import boto3

    from infra.environment import open_stores
    from infra.operator_events import tell
    from infra.release import roll_back
    from infra.release_history import choose
    from infra.running import version_of_stack
    from infra.stages import stack_name_of

    records = _records(stage)
    running = version_of_stack(boto3.client("cloudformation"), stack_name_of(stage))
    record = choose(records, release, running)
    what = f"{record.release_id}, version {record.version}, package {record.digest[:12]}"
    facts = {"release": record.release_id, "version": record.version, "deployed": not dry_run}
    if dry_run:
        print_result(f"This would return the stage {stage} to {what}.", facts, as_json)
        return
    require_yes(f"Return the stage {stage} to {what}?", yes)
    done = roll_back(boto3.Session(), stage, record, report=lambda line: click.echo(line, err=as_json))
    tell(open_stores(stage), "rollback", release=record.release_id)
    print_result(f"{done.stack_name} runs {record.version}.", {**facts, "url": done.url}, as_json)


@click.command()
@click.option("--function", type=FUNCTION, default="api", show_default=True, help="Whose log.")
@click.option("--since", default="15m", show_default=True, help="How far back: 90s, 15m, 2h, 3d.")
@click.option("--filter", "pattern", default="", help="As CloudWatch Logs takes it: '{ $.status >= 500 }', or words.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes; Ctrl-C ends it.")
@stage_option
@json_option
def logs(function: str, since: str, pattern: str, follow: bool, stage: str, as_json: bool) -> None:
    """Print a function's log, the oldest first. With --json each line is as it was written.

    \b
    Examples:
      strongroom logs --stage prod --since 1h --filter '{ $.level = "ERROR" }'
      strongroom logs --stage prod --function process --follow
    """
    import boto3

    from infra.environment import point_clients
    from infra.function_logs import events, for_people, group_of, read_age, require_logs
    from infra.stages import stack_name_of

    try:
        seconds = read_age(since)
    except ValueError as error:
        raise click.UsageError(f"--since: {error}") from None
    require_logs(stage)
    point_clients(stage)
    group = group_of(stack_name_of(stage), function)
    try:
        for message in events(boto3.client("logs"), group, seconds, pattern, follow=follow):
            click.echo(message if as_json else for_people(message))
    except KeyboardInterrupt:
        click.echo("Stopped.", err=True)


@click.command()
@click.option("--data", is_flag=True, help="On prod: also delete tables, buckets and queues. Elsewhere they go anyway.")
@click.option("--bypass-audit-lock", is_flag=True, help="Delete sealed events that are still locked.")
@yes_option
@dry_run_option
@stage_option
@json_option
def destroy(data: bool, bypass_audit_lock: bool, yes: bool, dry_run: bool, stage: str, as_json: bool) -> None:
    """Delete the stack of a stage. On prod its data stays unless --data is given.

    When it stops half-way, run it again: it goes on with what is left.
    """
    import boto3

    from infra.environment import open_stores, point_clients
    from infra.operator_events import tell
    from infra.stages import stack_name_of
    from infra.teardown import destroy as tear_down
    from infra.teardown import lines_of, what_exists
    from infra.template import KEPT_STAGES

    point_clients(stage)
    session = boto3.Session()
    found = what_exists(session, stage)
    facts: dict[str, Any] = {"stage": stage, "deleted": not dry_run, "found": found}
    if not any(found.values()):
        print_result(f"There is nothing of the stage {stage}.", {**facts, "deleted": False}, as_json)
        return
    shown = "\n".join([f"There is of the stage {stage}:", *lines_of(found)])
    if dry_run:
        print_result(shown, facts, as_json)
        return
    click.echo(shown, err=True)
    name = stack_name_of(stage)
    if not yes and click.prompt(f"Type {name} to delete it", default="", show_default=False, err=True).strip() != name:
        raise click.UsageError("That is not its name. Nothing was done. Where nobody can answer, give --yes.")
    if found["stack"] and stage in KEPT_STAGES and not data:
        # Before the act: nothing publishes it afterwards, but the table stays.
        tell(open_stores(stage), "destroy")
    tear_down(
        session,
        stage,
        data=data,
        bypass_lock=bypass_audit_lock,
        report=lambda line: click.echo(line, err=as_json),
    )
    print_result("Done.", facts, as_json)


def _records(stage: str) -> list[Record]:
    import boto3

    from infra.artifacts import artifacts_bucket, s3_client
    from infra.environment import NotReachable, point_clients
    from infra.release_history import read_all

    point_clients(stage)
    session = boto3.Session()
    if not session.region_name:
        raise NotReachable("No region is set. Set AWS_REGION, and AWS_ENDPOINT_URL for an emulator.")
    account = session.client("sts").get_caller_identity()["Account"]
    return read_all(s3_client(session), artifacts_bucket(account, session.region_name), stage)


COMMANDS: tuple[Any, ...] = (status, preflight, deploy, releases, rollback, logs, destroy)
