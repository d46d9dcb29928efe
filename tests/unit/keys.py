"""API keys of the tests, made over HTTP."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from chalicelib.api_keys import key_text
from chalicelib.kernel.caller import ActorType, Caller
from chalicelib.kernel.permissions import Scope
from tests.unit.api import Answer, Api, Session


def ask_for_key(api: Api, by: Session, scopes: Collection[str] = (Scope.FILES_WRITE,), **more: Any) -> Answer:
    body = {"name": "robot", "scopes": sorted(scopes), **more}
    return api.post("/api-keys", by, json_body={name: value for name, value in body.items() if value is not None})


def make_key(api: Api, by: Session, scopes: Collection[str] = (Scope.FILES_WRITE,), **more: Any) -> Session:
    """A key as somebody who signs in with it."""
    answer = ask_for_key(api, by, scopes, **more)
    assert answer.status == 201, answer.body
    return as_session(answer)


def as_session(answer: Answer) -> Session:
    shown = answer.json
    organization_id = key_text.organization_of(shown["id"])
    assert organization_id is not None
    scopes = frozenset(Scope(scope) for scope in shown["scopes"])
    caller = Caller(organization_id, shown["id"], shown["name"], scopes, None, ActorType.API_KEY)
    return Session(shown["name"], "", shown["key"], caller)
