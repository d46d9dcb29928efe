"""API keys: for people and keys who may manage them, and for whoever has found one."""

import time
from typing import Any

from chalice.app import Request, Response

from chalicelib.accounts import limits
from chalicelib.api_keys import logic as api_keys
from chalicelib.api_keys.key_intent import KeyIntent
from chalicelib.api_keys.records import ApiKey, details
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput
from chalicelib.kernel.permissions import Scope
from chalicelib.web.addresses import source_address
from chalicelib.web.answers import answer, no_content
from chalicelib.web.bodies import Body, json_object, text_field
from chalicelib.web.limit_headers import report_limit
from chalicelib.web.routing import Access, Routes
from chalicelib.wiring import stores

routes = Routes(__name__)
#: In place of a number of days.
NEVER = "never"


@routes.on("GET", "/api-keys", needs=Scope.KEYS_MANAGE)
def list_keys(request: Request, caller: Caller) -> Response:
    return answer({"api_keys": [key_json(key) for key in api_keys.list_keys(stores(), caller.organization_id)]})


@routes.on("POST", "/api-keys", needs=Scope.KEYS_MANAGE, body=Body.OBJECT)
def create_key(request: Request, caller: Caller) -> Response:
    return answer(_with_text(api_keys.create_key(stores(), caller, _intent(json_object(request)))), 201)


@routes.on("PATCH", "/api-keys/{key_id}", needs=Scope.KEYS_MANAGE, body=Body.OBJECT)
def change_key(request: Request, caller: Caller, key_id: str) -> Response:
    # Before the body is looked into: what is wrong with it is nobody's business who can't see the key.
    api_keys.get_key(stores(), caller, key_id)
    body = json_object(request)
    if not body.keys() & {"name", "scopes"}:
        raise BadInput("Name what to change: name, scopes, or both.")
    changed = api_keys.change_key(
        stores(),
        caller,
        key_id,
        name=text_field(body, "name") if "name" in body else None,
        scopes=_texts(body, "scopes") if "scopes" in body else None,
    )
    return answer(key_json(changed))


@routes.on("DELETE", "/api-keys/{key_id}", needs=Scope.KEYS_MANAGE)
def delete_key(request: Request, caller: Caller, key_id: str) -> Response:
    api_keys.delete_key(stores(), caller, key_id)
    return no_content()


@routes.on("POST", "/api-keys/{key_id}/rotate", needs=Scope.KEYS_MANAGE, body=Body.OBJECT)
def rotate_key(request: Request, caller: Caller, key_id: str) -> Response:
    api_keys.get_key(stores(), caller, key_id)
    seconds = json_object(request).get("old_secret_seconds")
    if type(seconds) is not int:
        raise BadInput("old_secret_seconds must be a whole number: how long the present secret lives on.")
    return answer(_with_text(api_keys.rotate_key(stores(), caller, key_id, seconds)))


@routes.on("POST", "/api-keys/revoke", needs=Access.ANYONE, body=Body.OBJECT)
def revoke_key(request: Request) -> Response:
    report_limit(request, limits.count_anonymous(stores(), source_address(request), with_token=True))
    # The same for every text: whoever guesses learns nothing.
    api_keys.revoke_by_text(stores(), text_field(json_object(request), "key"))
    return no_content()


def key_json(key: ApiKey) -> dict[str, Any]:
    return details(key, time.time())


def _with_text(made: api_keys.NewSecret) -> dict[str, Any]:
    return {**key_json(made.key), "key": made.text}


def _intent(body: dict[str, Any]) -> KeyIntent:
    days = body.get("expires_in_days")
    if days is not None and days != NEVER and type(days) is not int:
        raise BadInput(f"expires_in_days must be a whole number, or '{NEVER}'.")
    return KeyIntent(
        name=text_field(body, "name"),
        scopes=_texts(body, "scopes"),
        networks=_texts(body, "networks") if body.get("networks") is not None else [],
        days=days if type(days) is int else None,
        never=days == NEVER,
    )


def _texts(body: dict[str, Any], name: str) -> list[str]:
    value = body.get(name)
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadInput(f"{name} must be a list of strings.")
    return value
