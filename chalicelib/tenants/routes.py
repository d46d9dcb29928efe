"""What the members of an organisation see of it."""

from typing import Any

from chalice.app import Request, Response

from chalicelib.accounts.second_factor import require_second_factor
from chalicelib.files.record import FILE_STATUSES
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput, MissingPermission
from chalicelib.kernel.permissions import Scope
from chalicelib.tenants import organizations
from chalicelib.tenants.organization import details
from chalicelib.web.answers import answer
from chalicelib.web.bodies import Body, flag_field, json_object, text_field
from chalicelib.web.routing import Routes
from chalicelib.wiring import stores

routes = Routes(__name__)
_REQUIRED = "require_second_factor"
_POLICY_FIELDS = ("allowed_types", "refused_types", "max_file_bytes", "match_extension")


@routes.on("GET", "/usage", needs=Scope.ORGANIZATION_READ)
def usage(request: Request, caller: Caller) -> Response:
    organization = organizations.organization_of(stores(), caller)
    used = organization.usage
    return answer(
        {
            "bytes": {"used": used.bytes_used, "quota": used.bytes_used + used.bytes_available},
            "files": {"used": used.files_used, "quota": used.files_used + used.files_available},
            "by_status": {status: organization.file_count(status) for status in FILE_STATUSES},
            "by_type": organization.counts_by_type(),
        }
    )


@routes.on("GET", "/organization", needs=Scope.ORGANIZATION_READ)
def organization_details(request: Request, caller: Caller) -> Response:
    return answer(details(organizations.organization_of(stores(), caller)))


@routes.on("PATCH", "/organization", needs=Scope.ORGANIZATION_MANAGE, body=Body.OBJECT)
def change_organization(request: Request, caller: Caller) -> Response:
    body = json_object(request)
    changes: dict[str, Any] = {}
    if "name" in body:
        changes["name"] = text_field(body, "name")
    if "policy" in body:
        changes |= _policy_fields(body["policy"])
    required = flag_field(body, _REQUIRED) if _REQUIRED in body else None
    if not changes and required is None:
        raise BadInput(f"Name what to change: name, {_REQUIRED}, or of policy {', '.join(_POLICY_FIELDS)}.")
    if required is not None:
        if not caller.may(Scope.SECURITY_MANAGE):
            raise MissingPermission.of(Scope.SECURITY_MANAGE)
        # What is wrong with the rest is said before anything is changed.
        organizations.usable_changes(changes)
        require_second_factor(stores(), caller, required)
    if changes:
        return answer(details(organizations.change_organization(stores(), caller, changes)))
    return answer(details(organizations.organization_of(stores(), caller)))


def _policy_fields(policy: Any) -> dict[str, Any]:
    """:raises BadInput: no object, a field that is none of ours, or of another type."""
    if not isinstance(policy, dict) or not policy or not policy.keys() <= set(_POLICY_FIELDS):
        raise BadInput(f"policy must be an object with some of {', '.join(_POLICY_FIELDS)}.")
    for name in ("allowed_types", "refused_types"):
        types = policy.get(name, [])
        if not isinstance(types, list) or not all(isinstance(entry, str) for entry in types):
            raise BadInput(f"{name} must be a list of types such as image/png or image/*.")
    size = policy.get("max_file_bytes")
    if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
        raise BadInput("max_file_bytes must be a whole number, or null for none.")
    if not isinstance(policy.get("match_extension", False), bool):
        raise BadInput("match_extension must be true or false.")
    return dict(policy)
