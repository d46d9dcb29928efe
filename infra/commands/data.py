"""Migrations and the laptop's first data."""

from __future__ import annotations

import click

from infra.commands.options import json_option, print_result, print_rows, stage_option

SEED_ORGANIZATION = "Acme Corp"
SEED_USERNAME = "admin"
SEED_PASSWORD = "password"  # noqa: S105 - of the local stage only; the command refuses any other


@click.command()
@click.option("--status", "only_status", is_flag=True, help="Only show what was applied and what is pending.")
@stage_option
@json_option
def migrate(only_status: bool, stage: str, as_json: bool) -> None:
    """Apply the migrations that this deployment has not had, in order.

    Safe to run at any time, from several places, and again after a crash.
    """
    from infra.environment import open_stores
    from infra.migrations.ledger import Ledger
    from infra.migrations.runner import known_migrations
    from infra.migrations.runner import migrate as run
    from infra.operator_events import tell

    stores = open_stores(stage)
    if not only_status:
        applied = run(stores, lambda line: click.echo(line, err=as_json))
        if applied:
            tell(stores, "migrate", applied=applied)
        if not as_json:
            click.echo(f"{applied} applied." if applied else "Migrations: nothing to do.")
            return
    entries = Ledger(stores.settings.table_prefix).entries()
    rows = [
        [m.migration_id, entries[m.migration_id].state, entries[m.migration_id].changed_at, m.description]
        if m.migration_id in entries
        else [m.migration_id, "pending", "", m.description]
        for m in known_migrations()
    ]
    print_rows(["Migration", "State", "Changed", "Description"], rows, as_json)


@click.command("seed-data")
@stage_option
@json_option
def seed_data(stage: str, as_json: bool) -> None:
    """Make Acme Corp with the user admin, password "password". On the local stage only."""
    if stage != "local":
        raise click.UsageError(
            f"seed-data makes a user with a known password, so it works on the stage local only, not on {stage}. "
            "Use: organizations create, users create."
        )
    from chalicelib.accounts import users as accounts
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    stores = open_stores(stage)
    if stores.users.find_by_username(SEED_USERNAME) is not None:
        facts = {"username": SEED_USERNAME, "organization": SEED_ORGANIZATION, "made": False}
        print_result(f"{SEED_USERNAME} of {SEED_ORGANIZATION} is there already.", facts, as_json)
        return
    # A run that died after the organisation and before its user left one to go on with.
    left = [o for o in tenants.list_organizations(stores) if o.name == SEED_ORGANIZATION]
    organization = left[0] if left else tenants.create_organization(stores, SEED_ORGANIZATION)
    accounts.create_user(stores, organization.organization_id, SEED_USERNAME, SEED_PASSWORD, guessable=True)
    facts = {"username": SEED_USERNAME, "organization": SEED_ORGANIZATION, "made": True}
    print_result(f"Made {SEED_ORGANIZATION} with the user {SEED_USERNAME}.", facts, as_json)


COMMANDS = (migrate, seed_data)
