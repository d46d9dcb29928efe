"""The people of an organisation, for those of them who may see or change the others."""

from typing import Any

from chalice.app import Request, Response

from chalicelib.accounts import people
from chalicelib.accounts.records import details
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput
from chalicelib.kernel.permissions import Role, Scope
from chalicelib.web import queries
from chalicelib.web.answers import answer, no_content
from chalicelib.web.bodies import Body, json_object
from chalicelib.web.routing import Routes
from chalicelib.wiring import stores

routes = Routes(__name__)


@routes.on("GET", "/users", needs=Scope.USERS_READ)
def list_users(request: Request, caller: Caller) -> Response:
    page = people.list_people(
        stores(),
        caller,
        limit=queries.whole_number(request, "limit", people.DEFAULT_LIMIT, least=1),
        cursor=queries.one(request, "cursor"),
    )
    return answer({"users": [details(user) for user in page.users], "next_cursor": page.next_cursor})


@routes.on("GET", "/users/{user_id}", needs=Scope.USERS_READ)
def user_details(request: Request, caller: Caller, user_id: str) -> Response:
    return answer(details(people.get_person(stores(), caller, user_id)))


@routes.on("PATCH", "/users/{user_id}", needs=Scope.USERS_MANAGE, body=Body.OBJECT)
def change_user(request: Request, caller: Caller, user_id: str) -> Response:
    # Before the body is looked into: what is wrong with it is nobody's business who can't see the user.
    people.get_person(stores(), caller, user_id)
    body = json_object(request)
    if not body.keys() & {"role", "disabled"}:
        raise BadInput("Name what to change: role, disabled, or both.")
    changed = people.change_person(
        stores(),
        caller,
        user_id,
        role=role_field(body) if "role" in body else None,
        disabled=_flag(body, "disabled") if "disabled" in body else None,
    )
    return answer(details(changed))


@routes.on("DELETE", "/users/{user_id}", needs=Scope.USERS_MANAGE)
def remove_user(request: Request, caller: Caller, user_id: str) -> Response:
    people.remove_person(stores(), caller, user_id)
    return no_content()


@routes.on("POST", "/users/{user_id}/sign-out", needs=Scope.USERS_MANAGE)
def sign_out(request: Request, caller: Caller, user_id: str) -> Response:
    return answer({"ended_sessions": people.sign_out_person(stores(), caller, user_id)})


@routes.on("POST", "/users/{user_id}/second-factor/reset", needs=Scope.USERS_MANAGE)
def reset_second_factor(request: Request, caller: Caller, user_id: str) -> Response:
    return answer({"ended_sessions": people.reset_second_factor(stores(), caller, user_id)})


def role_field(body: dict[str, Any]) -> Role:
    """:raises BadInput: no role of ours."""
    try:
        return Role(body.get("role"))  # type: ignore[arg-type]
    except ValueError:
        raise BadInput(f"role must be one of {', '.join(Role)}.") from None


def _flag(body: dict[str, Any], name: str) -> bool:
    value = body[name]
    if not isinstance(value, bool):
        raise BadInput(f"{name} must be true or false.")
    return value
