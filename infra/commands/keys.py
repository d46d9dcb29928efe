"""API keys."""

from __future__ import annotations

import json

import click

from infra.commands.options import (
    json_option,
    organization_argument,
    organization_id_of,
    print_result,
    print_rows,
    stage_option,
)

# As in chalicelib/kernel/permissions.py, which is loaded when a command runs; a test compares them.
SCOPE = click.Choice(
    [
        *("files:read", "files:write", "files:delete", "files:manage", "organization:read", "organization:manage"),
        *("security:manage", "users:read", "users:manage", "keys:manage"),
        *("audit:read", "webhooks:manage"),
    ]
)


@click.group()
def keys() -> None:
    """Make, list and revoke API keys of an organisation.

    \b
    Examples:
      strongroom keys create "Acme Corp" "nightly upload" --scope files:write --days 30
      strongroom keys list "Acme Corp" --json
      strongroom keys revoke KEY_ID
    """


@keys.command("create")
@organization_argument
@click.argument("name")
@click.option("--scope", "scopes", type=SCOPE, multiple=True, required=True, help="What it may do (repeatable).")
@click.option("--days", type=int, help="How long it lives, 1 to 365. Default: 90.")
@click.option("--never", is_flag=True, help="It does not expire.")
@click.option("--network", "networks", multiple=True, help="Works from this network only (repeatable), as 10.0.0.0/8.")
@stage_option
@json_option
def create_key(
    organization: str,
    name: str,
    scopes: tuple[str, ...],
    days: int | None,
    never: bool,
    networks: tuple[str, ...],
    stage: str,
    as_json: bool,
) -> None:
    """Make an API key. It is printed this once, alone on a line of standard output."""
    from chalicelib.api_keys import logic as api_keys
    from chalicelib.api_keys.key_intent import KeyIntent
    from chalicelib.api_keys.records import OPERATOR, Maker, time_of
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    if never and days is not None:
        raise click.UsageError("Give either --days or --never.")
    stores = open_stores(stage)
    organization_id = organization_id_of(stores, organization)
    tenants.get_organization(stores, organization_id)
    wanted = KeyIntent(name, scopes, networks, days, never)
    made = api_keys.create_key_as_operator(stores, organization_id, Maker(OPERATOR, OPERATOR, OPERATOR), wanted)
    shown = {"id": made.key.key_id, "key": made.text, "expires_at": time_of(made.key.expires_at)}
    # Alone on its line for people, so that it can be piped to where it is to be kept.
    click.echo(json.dumps(shown, indent=2) if as_json else made.text)


@keys.command("list")
@organization_argument
@stage_option
@json_option
def list_keys(organization: str, stage: str, as_json: bool) -> None:
    """List the API keys of an organisation."""
    from chalicelib.api_keys import logic as api_keys
    from chalicelib.api_keys.records import HOUR_SECONDS, time_of
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    stores = open_stores(stage)
    organization_id = organization_id_of(stores, organization)
    tenants.get_organization(stores, organization_id)
    rows = [
        [
            key.key_id,
            key.name,
            " ".join(sorted(key.scopes)),
            " ".join(key.networks),
            f"{key.made_by.type} {key.made_by.name}",
            key.created_at,
            time_of(key.expires_at),
            time_of(key.last_used_hour * HOUR_SECONDS if key.last_used_hour is not None else None),
            time_of(key.revoked_at),
        ]
        for key in api_keys.list_keys(stores, organization_id)
    ]
    headings = ["Id", "Name", "Scopes", "Networks", "Made by", "Created", "Expires", "Last used", "Revoked"]
    print_rows(headings, rows if as_json else [[cell or "-" for cell in row] for row in rows], as_json)


@keys.command("revoke")
@click.argument("key_id")
@stage_option
@json_option
def revoke_key(key_id: str, stage: str, as_json: bool) -> None:
    """End an API key and what it has open. Repeatable."""
    from chalicelib.api_keys import logic as api_keys
    from infra.environment import open_stores

    key = api_keys.revoke_by_id(open_stores(stage), key_id)
    facts = {"id": key.key_id, "name": key.name, "organization_id": key.organization_id, "revoked": True}
    print_result(f"{key.name} ({key.key_id}) is revoked; open uploads are ended.", facts, as_json)


COMMANDS = (keys,)
