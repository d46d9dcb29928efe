"""Organisations, as operators make and change them, and as their members see them."""

import re
from collections.abc import Iterator

from chalicelib import keys
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.config import MAX_QUOTA_BYTES, MAX_QUOTA_FILES
from chalicelib.kernel.errors import BadInput, NotSignedIn
from chalicelib.tenants.organization import Organization, Policy
from chalicelib.wiring import Stores

MAX_NAME_CHARACTERS = 200
_TYPE_PATTERN = re.compile(r"[a-z0-9][a-z0-9.+-]*/(\*|[a-z0-9][a-z0-9.+_-]*)")


def create_organization(
    stores: Stores, name: str, *, quota_bytes: int | None = None, quota_files: int | None = None
) -> Organization:
    """:raises BadInput: an empty or overlong name, a quota out of bounds."""
    name = name.strip()
    if not name or len(name) > MAX_NAME_CHARACTERS:
        raise BadInput(f"An organisation's name has from 1 to {MAX_NAME_CHARACTERS} characters.")
    settings = stores.settings
    return stores.organizations.create(
        keys.new_organization_id(),
        name,
        timestamp(),
        _quota("bytes", settings.default_quota_bytes if quota_bytes is None else quota_bytes, MAX_QUOTA_BYTES),
        _quota("files", settings.default_quota_files if quota_files is None else quota_files, MAX_QUOTA_FILES),
    )


def list_organizations(stores: Stores) -> Iterator[Organization]:
    return stores.organizations.all()


def get_organization(stores: Stores, organization_id: str) -> Organization:
    """:raises BadInput: there is no such organisation."""
    organization = stores.organizations.find(organization_id)
    if organization is None:
        raise BadInput(f"There is no organisation {organization_id}.")
    return organization


def set_quota(stores: Stores, organization_id: str, quota_bytes: int, quota_files: int) -> None:
    get_organization(stores, organization_id)
    stores.organizations.set_quota(
        organization_id,
        _quota("bytes", quota_bytes, MAX_QUOTA_BYTES),
        _quota("files", quota_files, MAX_QUOTA_FILES),
    )


def set_policy(stores: Stores, organization_id: str, policy: Policy) -> None:
    """:raises BadInput: an entry is not ``type/subtype`` or ``type/*``, or the size is out of bounds."""
    get_organization(stores, organization_id)
    for entry in (*policy.allowed_types, *policy.refused_types):
        if not _TYPE_PATTERN.fullmatch(entry):
            raise BadInput(f"'{entry}' is not a type such as image/png or image/*.")
    if policy.max_file_bytes is not None and not 1 <= policy.max_file_bytes <= MAX_QUOTA_BYTES:
        raise BadInput(f"The largest file size is from 1 to {MAX_QUOTA_BYTES} bytes.")
    stores.organizations.set_policy(organization_id, policy)


def organization_of(stores: Stores, caller: Caller) -> Organization:
    """With its usage.

    :raises NotSignedIn: it was removed meanwhile.
    """
    organization = stores.organizations.find(caller.organization_id)
    if organization is None:
        raise NotSignedIn
    return organization


def _quota(what: str, number: int, most: int) -> int:
    if not 0 <= number <= most:
        raise BadInput(f"A quota of {what} is from 0 to {most}.")
    return number
