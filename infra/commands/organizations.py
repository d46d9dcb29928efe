"""Organisations."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from infra.commands.options import (
    SIZE,
    dry_run_option,
    json_option,
    organization_argument,
    organization_id_of,
    print_result,
    print_rows,
    print_sections,
    stage_option,
    yes_option,
)

if TYPE_CHECKING:
    from chalicelib.tenants.organization import Organization, Policy
    from chalicelib.wiring import Stores


@click.group()
def organizations() -> None:
    """Create, show, list, rename and delete organisations, set their quota and policy.

    An organisation is named by its id, or by its name where no other has the same.

    \b
    Examples:
      strongroom organizations create "Acme Corp" --quota-bytes 50GB
      strongroom organizations show "Acme Corp"
      strongroom organizations set-quota "Acme Corp" --bytes 5TB
      strongroom organizations set-policy "Acme Corp" --allow image/* --allow application/pdf
    """


@organizations.command("create")
@click.argument("name")
@click.option("--quota-bytes", type=SIZE, help="Bytes that it may keep, as 50GB. Default: DEFAULT_QUOTA_BYTES.")
@click.option("--quota-files", type=int, help="Files that it may keep. Default: DEFAULT_QUOTA_FILES.")
@stage_option
@json_option
def create_organization(name: str, quota_bytes: int | None, quota_files: int | None, stage: str, as_json: bool) -> None:
    """Create an organisation. Warns when another one has the same name."""
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    stores = open_stores(stage)
    made = tenants.create_organization(stores, name, quota_bytes=quota_bytes, quota_files=quota_files)
    _warn_of_namesakes(stores, made)
    print_rows(["Id", "Name"], [[made.organization_id, made.name]], as_json)


@organizations.command("list")
@stage_option
@json_option
def list_organizations(stage: str, as_json: bool) -> None:
    """List all organisations with what they use."""
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    rows = [
        [
            o.organization_id,
            o.name,
            o.usage.files_used,
            o.quota_files,
            o.usage.bytes_used,
            o.quota_bytes,
            o.created_at,
        ]
        for o in tenants.list_organizations(open_stores(stage))
    ]
    print_rows(["Id", "Name", "Files", "Quota files", "Bytes", "Quota bytes", "Created"], rows, as_json)


@organizations.command("show")
@organization_argument
@stage_option
@json_option
def show_organization(organization: str, stage: str, as_json: bool) -> None:
    """Show an organisation: quota and use, policy, and how much it has of what."""
    from chalicelib.files.record import FILE_STATUSES
    from chalicelib.tenants.organization import details_of_policy
    from chalicelib.tenants.organizations import get_organization
    from infra.environment import open_stores
    from infra.organization_removal import holdings_of

    stores = open_stores(stage)
    found = get_organization(stores, organization_id_of(stores, organization))
    held = asdict(holdings_of(stores, found))
    sections: dict[str, dict[str, Any]] = {
        "Organization": {
            "id": found.organization_id,
            "name": found.name,
            "created": found.created_at,
            "require_second_factor": found.require_second_factor,
        },
        "Quota": {"bytes": found.quota_bytes, "files": found.quota_files},
        "Used": {"bytes": found.usage.bytes_used, "files": found.usage.files_used},
        "Policy": details_of_policy(found.policy) if as_json else _policy_for_people(found.policy),
        "Files": {status: found.file_count(status) for status in FILE_STATUSES},
        "Has": {name: held[name] for name in ("users", "api_keys", "invitations", "webhooks")},
    }
    print_sections(sections, as_json)


@organizations.command("rename")
@organization_argument
@click.argument("name")
@stage_option
@json_option
def rename_organization(organization: str, name: str, stage: str, as_json: bool) -> None:
    """Give an organisation another name. Its id stays."""
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    stores = open_stores(stage)
    renamed = tenants.change_as_operator(stores, organization_id_of(stores, organization), {"name": name})
    _warn_of_namesakes(stores, renamed)
    facts = {"id": renamed.organization_id, "name": renamed.name}
    print_result(f"{renamed.organization_id} is called {renamed.name} now.", facts, as_json)


@organizations.command("set-quota")
@organization_argument
@click.option("--bytes", "quota_bytes", type=SIZE, help="Bytes that it may keep, as 5GB.")
@click.option("--files", "quota_files", type=int, help="Files that it may keep.")
@stage_option
@json_option
def set_quota(organization: str, quota_bytes: int | None, quota_files: int | None, stage: str, as_json: bool) -> None:
    """Set what an organisation may keep; what is not named stays. A quota below what it uses stops uploads only."""
    from chalicelib.tenants import organizations as tenants
    from infra.environment import open_stores

    if quota_bytes is None and quota_files is None:
        raise click.UsageError("Say what to set: --bytes, --files, or both.")
    stores = open_stores(stage)
    changed = tenants.set_quota(stores, organization_id_of(stores, organization), quota_bytes, quota_files)
    facts = {
        "id": changed.organization_id,
        "name": changed.name,
        "quota_bytes": changed.quota_bytes,
        "quota_files": changed.quota_files,
    }
    print_result(
        f"{changed.name} may keep {changed.quota_files} files and {changed.quota_bytes} bytes.", facts, as_json
    )


@organizations.command("set-policy")
@organization_argument
@click.option("--allow", multiple=True, help="A type that it takes, such as image/* (repeatable).")
@click.option("--allow-all", is_flag=True, help="It takes every type that is not refused.")
@click.option("--refuse", multiple=True, help="A type that it refuses, even if allowed (repeatable).")
@click.option("--refuse-none", is_flag=True, help="It refuses no type.")
@click.option("--max-file-bytes", type=SIZE, help="Largest file, as 50MB.")
@click.option("--no-max-file-bytes", is_flag=True, help="The largest file is that of the deployment.")
@click.option(
    "--match-extension/--no-match-extension", default=None, help="Refuse names whose extension is of another type."
)
@stage_option
@json_option
def set_policy(
    organization: str,
    allow: tuple[str, ...],
    allow_all: bool,
    refuse: tuple[str, ...],
    refuse_none: bool,
    max_file_bytes: int | None,
    no_max_file_bytes: bool,
    match_extension: bool | None,
    stage: str,
    as_json: bool,
) -> None:
    """Set rules on which files an organisation takes, by the type that is detected in the bytes.

    A rule whose options are not given stays. The types that are given replace those of the same rule.
    """
    from chalicelib.tenants import organizations as tenants
    from chalicelib.tenants.organization import details_of_policy
    from infra.environment import open_stores

    for wanted, none, names in (
        (bool(allow), allow_all, "--allow or --allow-all"),
        (bool(refuse), refuse_none, "--refuse or --refuse-none"),
        (max_file_bytes is not None, no_max_file_bytes, "--max-file-bytes or --no-max-file-bytes"),
    ):
        if wanted and none:
            raise click.UsageError(f"Give {names}, not both.")
    changes: dict[str, Any] = {}
    if allow or allow_all:
        changes["allowed_types"] = list(allow)
    if refuse or refuse_none:
        changes["refused_types"] = list(refuse)
    if max_file_bytes is not None or no_max_file_bytes:
        changes["max_file_bytes"] = max_file_bytes
    if match_extension is not None:
        changes["match_extension"] = match_extension
    if not changes:
        raise click.UsageError("Say which rule to set. 'organizations show' prints those that are set.")
    stores = open_stores(stage)
    changed = tenants.change_as_operator(stores, organization_id_of(stores, organization), changes)
    facts = {"id": changed.organization_id, "name": changed.name, "policy": details_of_policy(changed.policy)}
    rules = "; ".join(f"{name}: {value}" for name, value in _policy_for_people(changed.policy).items())
    print_result(f"{changed.name} has these rules now. {rules}.", facts, as_json)


@organizations.command("delete")
@organization_argument
@click.option(
    "--old-versions", is_flag=True, help="Also delete the files' old versions, so that no restore is possible."
)
@yes_option
@dry_run_option
@stage_option
@json_option
def delete_organization(
    organization: str, old_versions: bool, yes: bool, dry_run: bool, stage: str, as_json: bool
) -> None:
    """Delete an organisation with its users, keys, invitations, webhooks and files. Its audit trail stays.

    When it stops half-way, run it again: it goes on with what is left.
    """
    from chalicelib.tenants.organizations import get_organization
    from infra.environment import open_stores
    from infra.organization_removal import holdings_of, remove_organization

    stores = open_stores(stage)
    found = get_organization(stores, organization_id_of(stores, organization))
    held = holdings_of(stores, found)
    facts = {"id": found.organization_id, "name": found.name, "deleted": not dry_run, **asdict(held)}
    if dry_run:
        print_result(f"This would delete {found.name} ({found.organization_id}): {held.sentence()}.", facts, as_json)
        return
    click.echo(f"{found.name} ({found.organization_id}) on the stage {stage} has {held.sentence()}.", err=True)
    _require_name(found, yes)
    remove_organization(
        stores, found.organization_id, lambda line: click.echo(line, err=True), old_versions=old_versions
    )
    print_result(f"{found.name} ({found.organization_id}) is deleted.", facts, as_json)


def _require_name(organization: Organization, yes: bool) -> None:
    """More than a yes: there is no way back."""
    if yes:
        return
    typed = click.prompt("Type its name to delete it all", default="", show_default=False, err=True)
    if typed.strip() != organization.name:
        raise click.UsageError("That is not its name. Nothing was done. Where nobody can answer, give --yes.")


def _warn_of_namesakes(stores: Stores, organization: Organization) -> None:
    from chalicelib.tenants.organizations import list_organizations

    name = organization.name.casefold()
    others = [one.organization_id for one in list_organizations(stores) if one.name.casefold() == name]
    others = [one for one in others if one != organization.organization_id]
    if others:
        click.echo(
            f"Warning: {', '.join(sorted(others))} is called {organization.name}, too. Name them by their ids, or "
            "rename one.",
            err=True,
        )


def _policy_for_people(policy: Policy) -> dict[str, str]:
    size = policy.max_file_bytes
    return {
        "allowed types": ", ".join(policy.allowed_types) or "every type",
        "refused types": ", ".join(policy.refused_types) or "none",
        "largest file": f"{size} bytes" if size is not None else "that of the deployment",
        "extensions": "have to belong to the type" if policy.match_extension else "any",
    }


COMMANDS = (organizations,)
