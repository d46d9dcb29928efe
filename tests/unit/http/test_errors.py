"""Every error has one shape, whoever raises it, and nothing of the inside in it."""

from __future__ import annotations

import json
import uuid

import pytest
from chalice.app import Chalice, Request, Response
from chalice.test import Client

import app as application
from chalicelib.web.middleware import log_and_shape
from chalicelib.web.routing import Access, Routes
from tests.aws_calls import unreachable
from tests.unit.api import Api, Session
from tests.unit.contract import check_error, check_rate_limit_headers, check_success
from tests.unit.world import World

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WRONG_METHODS = [
    (method, path)
    for path, known in sorted(application.app.routes.items())
    for method in METHODS
    if method not in known
]


@pytest.mark.parametrize("transport", ["local", "gateway"])
def test_wrong_method_is_405_and_names_the_right_ones(api: Api, transport: str) -> None:
    api.transport = transport  # type: ignore[assignment]
    assert WRONG_METHODS
    for method, path in WRONG_METHODS:
        filled = "/".join("x" if part.startswith("{") else part for part in path.split("/"))
        answer = api.request(method, filled)
        check_error(answer, 405)
        assert set(answer.headers["Allow"].split(", ")) == set(application.app.routes[path])


def test_method_can_not_be_overridden(any_api: Api, anna: Session) -> None:
    file_id = any_api.upload(anna).json["id"]
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        check_success(any_api.get(f"/files/{file_id}?_method=DELETE", anna, headers={name: "DELETE"}))


def test_reading_does_not_mind_a_content_type(any_api: Api, anna: Session) -> None:
    for content_type in ("text/plain", "", "multipart/form-data", "x/y; \u00fc"):
        for path in ("/files", "/auth/me", "/health"):
            check_success(any_api.get(path, anna, headers={"Content-Type": content_type}))


def test_accept_does_not_matter(any_api: Api, anna: Session) -> None:
    for accept in ("text/html", "*/*", "image/png", "multipart/form-data", "garbage"):
        check_success(any_api.get("/files", anna, headers={"Accept": accept}))


def test_bug_of_ours_is_500_without_a_word_about_it(any_api: Api, anna: Session, world: World) -> None:
    """A row that can't be read stands for every bug."""
    file_id = any_api.upload(anna).json["id"]
    world.spoil(file_id)
    answer = any_api.get(f"/files/{file_id}", anna)
    check_error(answer, 500)
    check_rate_limit_headers(answer)
    for word in (b"secret detail", b"file_size", b"deserialize", b"Error"):
        assert word not in answer.body


def test_body_that_is_nested_too_deep_is_400(any_api: Api) -> None:
    answer = any_api.post("/auth/login", body=b"[" * 100_000, headers={"Content-Type": "application/json"})
    check_error(answer, 400)


@pytest.mark.parametrize("away", ["dynamodb.GetItem", "dynamodb"])
def test_tables_away_is_503_everywhere(any_api: Api, anna: Session, unhurried: None, away: str) -> None:
    with unreachable(away):
        for method, path in (("GET", "/auth/me"), ("GET", "/files"), ("DELETE", "/files/x"), ("POST", "/auth/logout")):
            answer = any_api.request(method, path, session=anna)
            check_error(answer, 503)
            assert answer.headers["Retry-After"] == "5"
        check_error(any_api.login("anna", anna.password), 503)
    check_success(any_api.get("/auth/me", anna))


@pytest.fixture
def small_application(world: World) -> Client:
    """Two views behind the same middleware: one that raises past everything of ours, one whose body looks like that."""
    small = Chalice(app_name="small")
    routes = Routes("small")

    @small.route("/raises")
    def raises() -> None:
        raise RuntimeError("deep inside")

    @routes.on("GET", "/code", needs=Access.ANYONE)
    def code(request: Request) -> Response:
        return Response({"Code": "ours", "Message": "kept"}, status_code=200)

    small.register_blueprint(routes)
    small.register_middleware(log_and_shape, "http")
    return Client(small)


def test_error_of_the_framework_takes_the_contracts_shape(small_application: Client) -> None:
    answer = small_application.http.get("/raises")
    assert answer.status_code == 500
    assert set(answer.json_body) == {"error", "message", "code", "request_id"}
    assert b"deep inside" not in answer.body


def test_body_of_ours_is_not_taken_for_an_error_of_the_framework(small_application: Client) -> None:
    answer = small_application.http.get("/code")
    assert (answer.status_code, answer.json_body) == (200, {"Code": "ours", "Message": "kept"})


def test_request_id_is_the_one_of_the_gateway(any_api: Api) -> None:
    answer = any_api.get("/auth/me")
    if any_api.transport == "gateway":
        assert answer.json["request_id"] == "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
    assert str(uuid.UUID(answer.json["request_id"])) == answer.json["request_id"]
    assert (any_api.get("/auth/me").json["request_id"] == answer.json["request_id"]) is (any_api.transport == "gateway")


def test_debug_mode_is_off() -> None:
    """In debug mode the framework answers with a traceback."""
    assert application.app.debug is False


def test_no_success_has_an_error_key(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    world.s3.delete_object(Bucket=world.stores.settings.temp_bucket, Key=world.temp_key(file_id))
    world.drain()
    for path in ("/files", f"/files/{file_id}", "/auth/me", "/health"):
        assert '"error":' not in json.dumps(api.get(path, anna).json)
