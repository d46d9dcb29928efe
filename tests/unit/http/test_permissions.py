"""Every route with every role and every scope of a key: what each may do, by the one table and the routes as told."""

from __future__ import annotations

from itertools import pairwise

import pytest

from chalicelib.accounts import users as accounts
from chalicelib.all_routes import ROUTES
from chalicelib.kernel.permissions import ROLE_SCOPES, Role, Scope
from chalicelib.web.routing import Access, Operation
from infra.commands.accounts import ROLE
from tests.unit.api import Api, Session
from tests.unit.contract import check_error
from tests.unit.http.test_tenancy import fill
from tests.unit.keys import make_key
from tests.unit.logbook import Logbook
from tests.unit.world import World

OPERATIONS = [operation for routes in ROUTES for operation in routes.operations]
SCOPED = [operation for operation in OPERATIONS if isinstance(operation.needs, Scope)]
PASSWORD = "staple-battery-horse"
PERSONAL = (Access.PERSON, Access.PERSON_SETTING_UP)


def name_of(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def somebody(world: World, api: Api, role: Role, name: str = "Acme") -> Session:
    """A new user with this role, signed in."""
    username = f"{role}-of-{name.lower()}"
    organization_id = world.organizations[name].organization_id
    user = accounts.create_user(world.stores, organization_id, username, PASSWORD, role=role)
    return Session(username, PASSWORD, api.login(username, PASSWORD).token, user.caller)


@pytest.fixture
def people(world: World, api: Api, logbook: Logbook) -> dict[Role, Session]:
    """Somebody of each role in Acme, signed in."""
    made: dict[Role, Session] = world.cloud.remember(
        "somebody of each role",
        lambda: {role: somebody(world, api, role) for role in Role},
        ("users", "usernames", "sessions", "organizations"),
    )
    logbook.secrets += [session.token for session in made.values()]
    return made


def request(api: Api, operation: Operation, session: Session, target: str = "x", body: bytes | None = None) -> object:
    ticket = "x"
    if operation.by_ticket and session.caller.may(Scope.FILES_WRITE):
        ticket = api.post("/auth/ticket", session).json["base_path"].removeprefix("/t/")
    headers = {"Content-Type": operation.body.media_types[0]} if operation.body.media_types else {}
    return api.request(
        operation.method,
        fill(operation.path, target, ticket),
        session=None if operation.by_ticket else session,
        headers=headers,
        body=body or (b"{}" if "application/json" in operation.body.media_types else b""),
    )


@pytest.mark.parametrize("operation", SCOPED, ids=name_of)
def test_route_asks_for_its_scope_and_nothing_else(
    api: Api, world: World, people: dict[Role, Session], operation: Operation
) -> None:
    for role, session in people.items():
        if operation.by_ticket and operation.needs not in ROLE_SCOPES[role]:
            check_error(api.post("/auth/ticket", session), 403)
            continue
        before = world.snapshot()
        answer = request(api, operation, session)
        if operation.needs in ROLE_SCOPES[role]:
            assert answer.status not in (401, 403, 500), answer.body  # type: ignore[attr-defined]
        else:
            assert str(operation.needs) in check_error(answer, 403)  # type: ignore[arg-type]
            assert answer.json["code"] == "missing_permission"  # type: ignore[attr-defined]
            assert world.snapshot() == before


@pytest.fixture
def keys(world: World, api: Api, anna: Session) -> dict[Scope, Session]:
    """A key of each one scope."""
    return world.cloud.remember(
        "a key of each scope", lambda: {scope: make_key(api, anna, [scope]) for scope in Scope}, ("api-keys",)
    )


@pytest.mark.parametrize("operation", SCOPED, ids=name_of)
def test_route_takes_a_key_with_its_scope_and_no_other(
    api: Api, world: World, keys: dict[Scope, Session], logbook: Logbook, operation: Operation
) -> None:
    logbook.secrets += [key.token for key in keys.values()]
    for scope, key in keys.items():
        if operation.by_ticket and scope is not operation.needs:
            check_error(api.post("/auth/ticket", key), 403)
            continue
        # Its first use is written, and is no change that it has made.
        api.get("/auth/me", key)
        before = world.snapshot()
        answer = request(api, operation, key)
        if scope is operation.needs:
            assert answer.status not in (401, 403, 500), answer.body  # type: ignore[attr-defined]
        else:
            assert str(operation.needs) in check_error(answer, 403)  # type: ignore[arg-type]
            assert answer.json["code"] == "missing_permission"  # type: ignore[attr-defined]
            assert world.snapshot() == before


@pytest.fixture
def foreign_keys(world: World, api: Api, berta: Session) -> dict[Scope, Session]:
    """As ``keys``, of the other organisation."""
    return world.cloud.remember(
        "a foreign key of each scope",
        lambda: {scope: make_key(api, berta, [scope]) for scope in Scope},
        ("api-keys",),
    )


#: What names a thing, with a body that is right, so that nothing but its organisation is wrong.
NAMING = [o for o in SCOPED if "{" in o.path.removeprefix("/t/{ticket}")]
RIGHT_BODIES = {
    ("PATCH", "/users/{user_id}"): b'{"role": "viewer"}',
    ("PATCH", "/files/{file_id}"): b'{"filename": "mine.txt"}',
    ("PATCH", "/api-keys/{key_id}"): b'{"name": "mine"}',
    ("POST", "/api-keys/{key_id}/rotate"): b'{"old_secret_seconds": 0}',
    ("PATCH", "/webhooks/{webhook_id}"): b'{"enabled": false}',
    ("POST", "/webhooks/{webhook_id}/rotate-secret"): b'{"old_secret_seconds": 0}',
    ("POST", "/webhooks/{webhook_id}/replay"): b'{"after": 0}',
}


@pytest.mark.parametrize("operation", NAMING, ids=name_of)
def test_what_another_organization_has_is_404_for_a_key_of_the_scope(
    api: Api, world: World, anna: Session, foreign_keys: dict[Scope, Session], operation: Operation
) -> None:
    """With the scope, what there is looks like what there is not; without it, the answer is the same 403 for both."""
    theirs = {
        "user_id": anna.caller.user_id,
        "key_id": make_key(api, anna).caller.user_id,
        "file_id": api.upload(anna).json["id"],
        "webhook_id": api.post("/webhooks", anna, json_body={"url": "https://hooks.example.com/"}).json["id"],
    }
    kind = operation.path.removeprefix("/t/{ticket}").partition("{")[2].partition("}")[0]
    target = theirs.get(kind, theirs["file_id"])
    for scope, key in foreign_keys.items():
        if operation.by_ticket and scope is not operation.needs:
            continue
        body = RIGHT_BODIES.get((operation.method, operation.path))
        drawn = [request(api, operation, key, target, body=body)]
        if operation.needs is scope:
            check_error(drawn[0], 404)  # type: ignore[arg-type]
        else:
            check_error(drawn[0], 403)  # type: ignore[arg-type]
    assert world.stores.users.find(anna.caller.organization_id, anna.caller.user_id) is not None
    assert world.file(theirs["file_id"]) is not None
    assert world.stores.api_keys.find(anna.caller.organization_id, theirs["key_id"]) is not None
    webhook = world.stores.webhooks.find(anna.caller.organization_id, theirs["webhook_id"])
    assert webhook is not None
    assert (webhook.enabled, webhook.version) == (True, 1)


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.needs in PERSONAL], ids=name_of)
def test_what_is_for_people_refuses_a_key_that_may_do_everything(
    api: Api, world: World, anna: Session, operation: Operation
) -> None:
    key = make_key(api, anna, set(Scope))
    api.get("/auth/me", key)
    before = world.snapshot()
    assert "API keys" in check_error(request(api, operation, key), 403)  # type: ignore[arg-type]
    assert world.snapshot() == before


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.needs is Access.KNOWN], ids=name_of)
def test_what_is_for_everybody_known_takes_any_key(api: Api, keys: dict[Scope, Session], operation: Operation) -> None:
    for key in keys.values():
        assert request(api, operation, key).status not in (401, 403, 500)  # type: ignore[attr-defined]


def test_key_can_be_given_every_scope_one_by_one(keys: dict[Scope, Session]) -> None:
    assert [set(key.caller.scopes) for key in keys.values()] == [{scope} for scope in Scope]


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.needs in PERSONAL], ids=name_of)
def test_what_needs_no_scope_is_open_to_every_role(api: Api, people: dict[Role, Session], operation: Operation) -> None:
    for session in people.values():
        assert request(api, operation, session).status not in (401, 403, 500)  # type: ignore[attr-defined]


def test_each_role_has_what_the_one_before_has() -> None:
    for lower, higher in pairwise(Role):
        assert ROLE_SCOPES[lower] < ROLE_SCOPES[higher]
    assert ROLE_SCOPES[Role.OWNER] == set(Scope)


def test_command_line_knows_the_same_roles() -> None:
    assert list(ROLE.choices) == list(Role)


def test_route_that_says_nothing_of_access_does_not_start() -> None:
    with pytest.raises(TypeError):
        ROUTES[0].on("GET", "/new")  # type: ignore[call-arg]


def test_ticket_does_nothing_but_upload(api: Api, anna: Session) -> None:
    tickets = {operation.needs for operation in OPERATIONS if operation.by_ticket}
    assert tickets == {Scope.FILES_WRITE}


def test_changed_role_counts_at_the_next_request(api: Api, world: World, anna: Session) -> None:
    member = somebody(world, api, Role.MEMBER)
    assert api.upload(member).status == 201
    path = api.post("/auth/ticket", member).json["base_path"]
    answer = api.request("PATCH", f"/users/{member.caller.user_id}", session=anna, json_body={"role": "viewer"})
    assert answer.status == 200
    check_error(api.upload(member), 403)
    check_error(api.get(f"{path}/s3/params?filename=a.txt&metadata[size]=1"), 403)
    assert api.get("/files", member).status == 200, "the session goes on"
