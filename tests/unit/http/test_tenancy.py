"""Nobody reaches another organisation's files, and nobody without a session reaches anything: for every route there is.

The routes are those that the application has, so a new one is tested the day it is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import pytest

import app as application
from chalicelib import all_routes
from tests.unit.api import Api, Session, multipart_form
from tests.unit.contract import check_error, check_success
from tests.unit.world import World

#: All that anyone may call without a session. A line here is a decision.
PUBLIC = {
    ("POST", "/auth/login"),
    ("POST", "/api-keys/revoke"),
    ("POST", "/invitations/accept"),
    # 403 unless operators allow it.
    ("POST", "/organizations"),
    ("POST", "/auth/second-factor"),
    ("GET", "/health"),
    ("GET", "/openapi.json"),
    # Files of the source, the same for everyone.
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/console/{version}/{name}"),
    ("GET", "/console/{version}/{folder}/{name}"),
    ("GET", "/schemas/events.json"),
}
ROUTES = sorted((method, path) for path, methods in application.app.routes.items() for method in methods)
GUARDED = [(method, path) for method, path in ROUTES if (method, path) not in PUBLIC and method != "OPTIONS"]
#: A ticket in the path stands for a session; every other parameter names a file or an upload.
NAMING_A_FILE = [(method, path) for method, path in GUARDED if "{" in path.removeprefix("/t/{ticket}")]


@dataclass(frozen=True)
class Victim:
    """An upload of Acme that is under way, and everything there is to know of it."""

    organization_id: str
    file_id: str
    upload_id: str


#: A body that each writing method could be called with; what is wrong with it must not be said to a stranger.
FORM = multipart_form([("file", "a.txt", "text/plain", b"x")])
BODIES = {
    "json": ("application/json", b'{"filename": "mine.txt", "size": 1, "parts": [], "type": "text/plain"}'),
    "form": FORM,
    "none": ("application/json", b""),
}


def fill(path: str, file_id: str, ticket: str = "stolen-but-wrong", victim: Victim | None = None) -> str:
    """The path with the worst that a caller could guess in every place: a file's id, or all that an upload has."""
    values = {"ticket": ticket}
    query = ""
    if victim is not None:
        values |= {"upload_id": victim.upload_id, "part_number": "1"}
        query = f"?key={victim.organization_id}/{victim.file_id}&partNumbers=1" if "{upload_id}" in path else ""
    for name in application_parameters(path):
        path = path.replace(f"{{{name}}}", values.get(name, file_id))
    return path + query


def media_types(method: str, path: str) -> tuple[str, ...]:
    """The types of a body that the route reads. What it does not read is refused before the file is looked for."""
    operations = (operation for routes in all_routes.ROUTES for operation in routes.operations)
    return next(found for found in operations if (found.method, found.path) == (method, path)).body.media_types


def application_parameters(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


def test_public_list_names_only_routes_that_exist() -> None:
    assert "GET" in application.app.routes["/openapi.json"]
    assert set(ROUTES) | {("GET", "/openapi.json")} >= PUBLIC
    assert not PUBLIC & set(NAMING_A_FILE)


def test_matrix_is_not_empty() -> None:
    assert {("GET", "/files/{file_id}"), ("DELETE", "/files/{file_id}"), ("GET", "/files/{file_id}/content")} <= set(
        NAMING_A_FILE
    )


@pytest.fixture
def pending(api: Api, anna: Session) -> str:
    """A file of Acme that waits for processing."""
    return str(api.upload(anna).json["id"])


@pytest.fixture
def file_ids(api: Api, anna: Session, world: World) -> dict[str, str]:
    """One file of Acme in each state."""

    def make() -> dict[str, str]:
        completed = api.upload(anna, b"secret of Acme", "completed.txt").json["id"]
        world.drain()
        failed = api.upload(anna, b"", "failed.txt").json["id"]
        world.s3.delete_object(Bucket=world.stores.settings.temp_bucket, Key=world.temp_key(failed))
        world.drain()
        pending = api.upload(anna, b"waiting", "pending.txt").json["id"]
        body = {"filename": "parts.bin", "type": "text/plain", "metadata": {"size": 20_000_000}}
        started = api.post("/s3/multipart", anna, json_body=body).json
        uploading = started["key"].partition("/")[2]
        return {"completed": completed, "failed": failed, "pending": pending, "uploading": uploading}

    ids = world.cloud.remember("a file in each state", make, ("files", "organizations"), buckets=True)
    for status, file_id in ids.items():
        assert world.file(file_id).status == status.replace("uploading", "pending")  # type: ignore[union-attr]
    return ids


@pytest.fixture
def victim(file_ids: dict[str, str], world: World) -> Victim:
    file = world.file(file_ids["uploading"])
    assert file is not None
    assert file.multipart_upload_id is not None
    return Victim(file.organization_id, file.file_id, file.multipart_upload_id)


@pytest.mark.parametrize(("method", "path"), NAMING_A_FILE)
def test_file_of_another_organization_is_404_and_stays_as_it_is(
    api: Api, world: World, berta: Session, file_ids: dict[str, str], victim: Victim, method: str, path: str
) -> None:
    ticket = api.post("/auth/ticket", berta).json["base_path"].removeprefix("/t/")
    before = world.snapshot()
    told: set[str] = set()
    unread: set[str] = set()
    absent = "01890000-0000-7000-8000-000000000000"
    targets = [fill(path, file_id, ticket) for file_id in (*file_ids.values(), absent)]
    if "{upload_id}" in path:
        targets.append(fill(path, victim.file_id, ticket, victim))
    for target, (content_type, sent) in product(targets, BODIES.values()):
        answer = api.request(method, target, session=berta, headers={"Content-Type": content_type}, body=sent)
        if answer.status == 415:
            unread.add(check_error(answer, 415))
            assert content_type not in media_types(method, path)
            continue
        told.add(check_error(answer, 404))
    assert len(told) == 1, "the answer tells whether the file exists"
    assert len(unread) <= 1
    assert world.snapshot() == before


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_without_a_session_every_route_is_401(api: Api, world: World, pending: str, method: str, path: str) -> None:
    api.transport = "gateway"
    before = world.snapshot()
    for content_type, sent in BODIES.values():
        for token in ({}, {"Authorization": "Bearer stolen-but-wrong"}, {"Cookie": "session=stolen-but-wrong"}):
            headers = {**token, "Content-Type": content_type}
            check_error(api.request(method, fill(path, pending), headers=headers, body=sent), 401)
    assert world.snapshot() == before


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_session_that_was_ended_is_401_everywhere(
    api: Api, anna: Session, pending: str, method: str, path: str
) -> None:
    check_success(api.post("/auth/logout", anna))
    check_error(api.request(method, fill(path, pending), session=anna), 401)


NONSENSE = [
    "x",
    "0",
    "..",
    "%2e%2e",
    "01890000-0000-7000-8000-00000000000G",
    "01890000-0000-7000-8000-000000000000%0a",
    "01890000-0000-7000-8000-000000000000%23",
    "%00",
    "%ff",
    "%F0%9F%98%80",
    "x" * 5000,
    "%7B%22S%22%3A1%7D",
]


@pytest.mark.parametrize(("method", "path"), NAMING_A_FILE)
def test_what_is_no_file_id_is_404(api: Api, world: World, anna: Session, method: str, path: str) -> None:
    ticket = api.post("/auth/ticket", anna).json["base_path"].removeprefix("/t/")
    before = world.snapshot()
    for nonsense in NONSENSE:
        sent = {"body": b"{}", "headers": {"Content-Type": "application/json"}}
        check_error(api.request(method, fill(path, nonsense, ticket), session=anna, **sent), 404)  # type: ignore[arg-type]
    assert world.snapshot() == before


def test_list_shows_the_own_organization_only(
    api: Api, anna: Session, berta: Session, file_ids: dict[str, str]
) -> None:
    mine = api.upload(berta, b"of Bolt").json["id"]
    for query in ("", "?status=pending", "?limit=100"):
        listed = api.get(f"/files{query}", berta).json
        assert ([file["id"] for file in listed["files"]], listed["total"]) == ([mine], 1)
    assert api.get("/files?status=completed&mime_type=text/plain", berta).json["total"] == 0
    assert {file["id"] for file in api.get("/files", anna).json["files"]} == set(file_ids.values())


def test_colleague_sees_the_same_files(api: Api, sign_in: object, file_ids: dict[str, str]) -> None:
    albert = sign_in("albert")  # type: ignore[operator]
    answer = api.get(f"/files/{file_ids['completed']}", albert)
    check_success(answer)
    assert answer.json["uploaded_by"]["username"] == "anna"
