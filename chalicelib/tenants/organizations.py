"""Organisations, as operators make and change them, and as their members see them."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from chalicelib import keys
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.config import MAX_QUOTA_BYTES, MAX_QUOTA_FILES
from chalicelib.kernel.errors import BadInput, Conflict, NotSignedIn
from chalicelib.kernel.nfc import compose
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.tenants.organization import NewOrganization, Organization, Policy
from chalicelib.wiring import Stores

MAX_NAME_CHARACTERS = 200
#: Allowed, and as many refused. Every upload writes the organisation's row, and is billed by its size.
MAX_TYPES = 100
#: RFC 6838, 4.2: 127 characters on either side of the slash.
MAX_TYPE_CHARACTERS = 255
#: Names in use for types that are detected under another one, so that a rule with them would never apply.
OTHER_NAMES: Final[Mapping[str, str]] = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/svg": "image/svg+xml",
    "audio/mp3": "audio/mpeg",
    "audio/wav": "audio/x-wav",
    "application/x-pdf": "application/pdf",
    "application/rtf": "text/rtf",
    "application/x-gzip": "application/gzip",
    "application/x-zip-compressed": "application/zip",
    "application/xml": "text/xml",
    "text/json": "application/json",
}
_TYPE_PATTERN = re.compile(r"[a-z0-9][a-z0-9.+-]*/(\*|[a-z0-9][a-z0-9.+_-]*)")


def new_organization(
    stores: Stores, name: str, *, quota_bytes: int | None = None, quota_files: int | None = None
) -> NewOrganization:
    """:raises BadInput: an unusable name, a quota out of bounds."""
    settings = stores.settings
    return NewOrganization(
        keys.new_organization_id(),
        _usable_name(name),
        timestamp(),
        _quota("bytes", settings.default_quota_bytes if quota_bytes is None else quota_bytes, MAX_QUOTA_BYTES),
        _quota("files", settings.default_quota_files if quota_files is None else quota_files, MAX_QUOTA_FILES),
    )


def create_organization(
    stores: Stores, name: str, *, quota_bytes: int | None = None, quota_files: int | None = None
) -> Organization:
    """:raises BadInput: an unusable name, a quota out of bounds."""
    return stores.organizations.create(new_organization(stores, name, quota_bytes=quota_bytes, quota_files=quota_files))


def list_organizations(stores: Stores) -> Iterator[Organization]:
    return stores.organizations.all()


def get_organization(stores: Stores, organization_id: str) -> Organization:
    """:raises BadInput: there is no such organisation."""
    organization = stores.organizations.find(organization_id)
    if organization is None:
        raise BadInput(f"There is no organisation {organization_id}.")
    return organization


def set_quota(
    stores: Stores, organization_id: str, quota_bytes: int | None = None, quota_files: int | None = None
) -> Organization:
    """
    :param quota_bytes: None leaves it as it is; ``quota_files`` likewise.
    :raises BadInput: no such organisation, or out of bounds.
    """
    changes: dict[str, Any] = {}
    if quota_bytes is not None:
        changes["quota_bytes"] = _quota("bytes", quota_bytes, MAX_QUOTA_BYTES)
    if quota_files is not None:
        changes["quota_files"] = _quota("files", quota_files, MAX_QUOTA_FILES)
    return _change(
        stores,
        lambda: get_organization(stores, organization_id),
        lambda found: replace(found, **changes),
    )


def set_policy(stores: Stores, organization_id: str, policy: Policy) -> None:
    """:raises BadInput: an entry is not ``type/subtype`` or ``type/*``, or the size is out of bounds."""
    get_organization(stores, organization_id)
    _check_types(policy.allowed_types)
    _check_types(policy.refused_types)
    _check_max_file_bytes(policy.max_file_bytes)
    _change(stores, lambda: get_organization(stores, organization_id), lambda found: replace(found, policy=policy))


def change_organization(stores: Stores, caller: Caller, changes: Mapping[str, Any]) -> Organization:
    """Change the fields that are named and no others, so that of two changes at once none undoes the other's.

    :param changes: ``name``, and the fields of Policy.
    :raises BadInput: an unusable name, type or size.
    :raises NotSignedIn: the organisation was removed meanwhile.
    """
    return _change_fields(stores, lambda: organization_of(stores, caller), changes)


def change_as_operator(stores: Stores, organization_id: str, changes: Mapping[str, Any]) -> Organization:
    """As :func:`change_organization`, for an operator.

    :raises BadInput: no such organisation; an unusable name, type or size.
    """
    return _change_fields(stores, lambda: get_organization(stores, organization_id), changes)


def set_require_second_factor(stores: Stores, organization_id: str, required: bool) -> None:
    """:raises BadInput: there is no such organisation."""
    _change(
        stores,
        lambda: get_organization(stores, organization_id),
        lambda found: replace(found, require_second_factor=required),
    )


def _change_fields(stores: Stores, read: Callable[[], Organization], changes: Mapping[str, Any]) -> Organization:
    checked = usable_changes(changes)
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in checked.items()
    }
    name = fields.pop("name", None)

    def change(found: Organization) -> Organization:
        return replace(found, name=name or found.name, policy=replace(found.policy, **fields))

    return _change(stores, read, change)


def _change(
    stores: Stores, read: Callable[[], Organization], change: Callable[[Organization], Organization]
) -> Organization:
    return compare_and_swap(
        read,
        lambda found: stores.organizations.replace(found, change(found)),
        exhausted=Conflict("The organisation is being changed by others; try again."),
        waits=True,
    )


def usable_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """As they are to be written.

    :raises BadInput: an unusable name, type or size.
    """
    checked = dict(changes)
    if "name" in checked:
        checked["name"] = _usable_name(checked["name"])
    for field in ("allowed_types", "refused_types"):
        _check_types(checked.get(field, ()))
    _check_max_file_bytes(checked.get("max_file_bytes"))
    return checked


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


def _usable_name(name: str) -> str:
    name = compose(name.strip())
    # Names stand in logs, in tables of the command line and in the subject of a mail.
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable():
        raise BadInput(f"An organisation's name has from 1 to {MAX_NAME_CHARACTERS} characters on one line.")
    return name


def _check_types(types: Sequence[str]) -> None:
    if len(types) > MAX_TYPES:
        raise BadInput(f"A policy allows and refuses at most {MAX_TYPES} types.")
    for entry in types:
        if not _TYPE_PATTERN.fullmatch(entry) or len(entry) > MAX_TYPE_CHARACTERS:
            raise BadInput(f"'{entry[:MAX_TYPE_CHARACTERS]}' is not a type such as image/png or image/*.")
        if entry in OTHER_NAMES:
            raise BadInput(f"No file is detected as '{entry}': the name of that type is {OTHER_NAMES[entry]}.")


def _check_max_file_bytes(number: int | None) -> None:
    if number is not None and not 1 <= number <= MAX_QUOTA_BYTES:
        raise BadInput(f"The largest file size is from 1 to {MAX_QUOTA_BYTES} bytes.")
