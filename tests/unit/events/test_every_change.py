"""Every route that can change something: which events it writes, once, with no secret, and none when it is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from chalicelib.all_routes import ROUTES
from chalicelib.console import assets
from chalicelib.kernel.permissions import ROLE_SCOPES, Role, Scope
from chalicelib.web.routing import Access, Operation
from tests.unit.api import Api, Session
from tests.unit.authenticator import stopped_clock
from tests.unit.conftest import Configure
from tests.unit.contract import check_error
from tests.unit.event_form import check_form, secrets_in
from tests.unit.events.acts import ACTS
from tests.unit.events.acts.act import ANY, PROGRAM, Act, Request, Scene, Told
from tests.unit.logbook import Logbook
from tests.unit.lost_answers import answers_lost_once
from tests.unit.world import World

OPERATIONS = {f"{o.method} {o.path}": o for routes in ROUTES for o in routes.operations}
#: GETs that write events besides.
WRITING_GETS = {
    *("GET /s3/params", "GET /t/{ticket}/s3/params", "GET /files/{file_id}/content", "HEAD /files/{file_id}/content"),
    "GET /audit/export",
}
WRITES = ("dynamodb.TransactWriteItems", "dynamodb.PutItem")


@pytest.fixture(autouse=True)
def clock(world: World) -> Iterator[time_machine.Traveller]:
    with stopped_clock() as clock:
        yield clock


@pytest.fixture
def scene(
    configure: Configure, api: Api, world: World, anna: Session, clock: time_machine.Traveller, logbook: Logbook
) -> Scene:
    configure(SIGN_UP="open", MAX_DIRECT_UPLOAD_BYTES=1_000_000_000)
    return Scene(api, world, anna, clock, logbook.secrets)


def prepared(scene: Scene, act: Act) -> Request:
    """What is to be sent; all that has been written on the way is forgotten."""
    request = act.make(scene)
    scene.world.cloud.forget_events()
    return request


def shape(event: dict[str, Any]) -> Told:
    changes = {name: (change["from"], change["to"]) for name, change in event.get("changes", {}).items()}
    target = event["target"]["type"]
    return Told(event["type"], target, event["actor"]["type"], changes or None, event["data"])


def matches(wanted: Told, found: Told) -> bool:
    return (
        (wanted.type, wanted.target, wanted.actor) == (found.type, found.target, found.actor)
        and _alike(wanted.changes, found.changes)
        and all(_alike(value, found.data[name]) for name, value in wanted.data.items())
    )


def _alike(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, dict) and isinstance(found, dict):
        return wanted.keys() == found.keys() and all(_alike(wanted[name], found[name]) for name in wanted)
    if isinstance(wanted, tuple | list) and isinstance(found, tuple | list):
        return len(wanted) == len(found) and all(map(_alike, wanted, found))
    return wanted is ANY or wanted == found


def check_told(act: Act, events: list[dict[str, Any]]) -> None:
    found = sorted((shape(event) for event in events), key=lambda one: one.type)
    wanted = sorted(act.told, key=lambda one: one.type)
    assert [one.type for one in found] == [one.type for one in wanted]
    assert [pair for pair in zip(wanted, found, strict=True) if not matches(*pair)] == []


def test_every_route_that_writes_is_in_the_table_and_no_other() -> None:
    unsafe = {name for name, operation in OPERATIONS.items() if operation.method not in ("GET", "HEAD")}
    assert {act.route for act in ACTS} == unsafe | WRITING_GETS


def test_acts_have_names_of_their_own() -> None:
    assert len({str(act) for act in ACTS}) == len(ACTS)


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_change_is_told(scene: Scene, act: Act) -> None:
    request = prepared(scene, act)
    answer = scene.send(request)
    assert answer.status == act.status, answer.body
    events = scene.world.written_events()
    check_told(act, events)
    check_form(events)
    for event in events:
        assert event["actor"]["address"] == "127.0.0.1"
        assert event["actor"]["program"] == PROGRAM
        if event["actor"]["type"] != "anonymous":
            assert event["actor"]["id"]
            assert event["actor"]["name"]
        assert event["target"]["id"] == event["data"].get("id", event["target"]["id"])
    assert len({event["request_id"] for event in events} - {None}) == bool(events)


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_no_secret_is_told(scene: Scene, act: Act) -> None:
    """Those of the preparation included, which are the secrets of the things that are changed."""
    scene.send(act.make(scene))
    rows = json.dumps(scene.world.rows("event-outbox"), ensure_ascii=False)
    assert scene.secrets
    assert secrets_in(rows, scene.secrets) == []


@pytest.mark.parametrize("act", [act for act in ACTS if act.told], ids=str)
def test_answer_that_is_lost_writes_no_second_event(scene: Scene, act: Act, unhurried: list[float]) -> None:
    request = prepared(scene, act)
    with answers_lost_once(*WRITES) as lost:
        answer = scene.send(request)
    assert answer.status == act.status, answer.body
    assert lost
    check_told(act, scene.world.written_events())
    moments = [row["moment"]["S"] for row in scene.world.rows("event-outbox")]
    assert len(set(moments)) == len(moments) == len(act.told)


def refusals(scene: Scene, operation: Operation, request: Request) -> Iterator[tuple[Request, tuple[int, ...]]]:
    """The same request as it must be refused, and how."""
    if request.session is not None:
        yield Request(request.method, request.path, None, request.json_body, request.headers, request.body), (401,)
    if (
        isinstance(operation.needs, Scope)
        and not operation.by_ticket
        and operation.needs not in ROLE_SCOPES[Role.VIEWER]
    ):
        viewer = scene.somebody(Role.VIEWER)
        yield Request(request.method, request.path, viewer, request.json_body, request.headers, request.body), (403,)
    if operation.by_ticket:
        path = request.path.replace("/t/", "/t/x")
        yield Request(request.method, path, None, request.json_body), (401,)
    if request.json_body is not None:
        yield Request(request.method, request.path, request.session, []), (400,)
        yield Request(request.method, request.path, request.session, {"odd": 1}), (400, 401, 403, 404, 409)
    if operation.needs is not Access.ANYONE and "application/json" in operation.body.media_types:
        text = {"Content-Type": "text/plain"}
        yield Request(request.method, request.path, request.session, None, text, b"x"), (415,)


@pytest.mark.parametrize("act", [act for act in ACTS if act.told], ids=str)
def test_refused_request_is_not_told(scene: Scene, act: Act) -> None:
    request = prepared(scene, act)
    for refused, statuses in refusals(scene, OPERATIONS[act.route], request):
        scene.world.cloud.forget_events()
        answer = scene.send(refused)
        assert answer.status in statuses, (refused, answer.body)
        check_error(answer, answer.status)
        assert scene.world.written_events() == []


def test_reading_is_not_told(scene: Scene) -> None:
    """Every other GET, with what there is to be read."""
    ids = {
        "file_id": scene.uploaded(status="completed"),
        "user_id": scene.anna.caller.user_id,
        "webhook_id": scene.made("/webhooks", url="https://hooks.example.com/")["id"],
    }
    started = scene.made("/s3/multipart", filename="a.bin", metadata={"size": 4})
    ids |= {"upload_id": started["uploadId"], "part_number": "1"}
    ids |= {"version": assets.version(), "folder": "vendor", "name": "x.js"}
    ticket = scene.api.post("/auth/ticket", scene.anna).json["base_path"].rpartition("/")[2]
    scene.world.cloud.forget_events()
    for name, operation in OPERATIONS.items():
        if operation.method not in ("GET", "HEAD") or name in WRITING_GETS:
            continue
        path = operation.path.format(**ids, ticket=ticket)
        query = f"?key={started['key']}&partNumbers=1" if "{upload_id}" in operation.path else ""
        answer = scene.send(Request(operation.method, path + query, None if operation.by_ticket else scene.anna))
        # A completed file has no parts.
        assert answer.status in (200, 404, 409), (name, answer.body)
        assert scene.world.written_events() == []
