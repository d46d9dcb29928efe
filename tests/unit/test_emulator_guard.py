"""What the check in front of the emulator lets through: each way in that MiniStack itself leaves open is one case."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from infra.local.emulator_guard import PIECE_BYTES, Guard, Request, refusal
from infra.local.keys import Key, KeyFile

OPERATOR = "LOCAL0123456789ABCDEF"
PAGE = "http://127.0.0.1:8000"
HOST = "127.0.0.1:4566"
SIGNED = {"authorization": "AWS4-HMAC-SHA256 Credential=AKIAX/20260101/us-east-1/s3/aws4_request, SignedHeaders=host"}
FUNCTIONS = "/2015-03-31/functions"
FORM = {"content-type": "multipart/form-data; boundary=b"}


def ask(method: str, path: str, query: str = "", **headers: str) -> str | None:
    given = {"host": HOST} | {name.replace("_", "-"): value for name, value in headers.items()}
    return refusal(Request(method, path, query, tuple(given.items())), OPERATOR, {PAGE})


def signed_by(key: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0"


@pytest.mark.parametrize(
    ("method", "path", "query", "headers"),
    [
        ("POST", FUNCTIONS, "", {"content-type": "text/plain"}),
        ("POST", FUNCTIONS, "", FORM),
        ("GET", "/", "", {}),
        ("GET", "/bucket/key", "", {}),
        ("POST", "/bucket/key", "", FORM),
        ("POST", "/bucket", "delete", FORM),
        ("PUT", "/bucket", "", FORM),
        ("OPTIONS", "/bucket/key", "", {}),
        ("GET", "/", "X-Amz-Signature=0", {}),
        ("GET", "/", "", {"authorization": "Bearer x"}),
        # MiniStack takes these for the root and does not check the signature.
        ("POST", FUNCTIONS, "X-Amz-Credential=test/20260101/us-east-1/lambda/aws4_request", {}),
        ("POST", FUNCTIONS, "x-amz-credential=test%2F20260101", {}),
        ("POST", FUNCTIONS, "AWSAccessKeyId=000000000000", {}),
        ("POST", FUNCTIONS, "X-Amz-Credential=AKIAX/x&X-Amz-Credential=test/x", {}),
        ("POST", FUNCTIONS, "X-Amz-Credential=", {}),
        ("POST", FUNCTIONS, "", {"authorization": signed_by("test")}),
        ("POST", FUNCTIONS, "", {"authorization": signed_by("123456789012")}),
        ("POST", FUNCTIONS, "", {"authorization": "AWS test:c2ln"}),
        ("POST", "/restapis/a/api/_user_request_/x", "AWSAccessKeyId=test", {}),
        ("POST", "/restapis", "", {}),
        ("DELETE", "/restapis/a/stages/_user_request_", "", {}),
    ],
)
def test_request_that_no_checked_key_signs_is_refused(
    method: str, path: str, query: str, headers: dict[str, str]
) -> None:
    assert ask(method, path, query, **headers)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:4566", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_name_that_is_no_loopback_name_is_refused(host: str) -> None:
    assert ask("GET", "/", **SIGNED, host=host)
    assert ask("GET", "/_ministack/health", host=host)


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:9999", "null", PAGE + ".evil", ""])
def test_page_of_another_origin_is_refused_even_with_a_signature(origin: str) -> None:
    assert ask("PUT", "/bucket/key", origin=origin, **SIGNED)
    assert ask("OPTIONS", "/bucket/key", origin=origin)
    assert ask("POST", "/bucket", origin=origin, **FORM)


@pytest.mark.parametrize(
    "path", ["/_ministack/reset", "/_ministack/config", "/_localstack/x", "/_ministack/lambda-code/x"]
)
def test_administration_is_for_the_operator_outside_of_browsers(path: str) -> None:
    assert ask("POST", path)
    assert ask("POST", path, **SIGNED)
    assert ask("POST", path, authorization=signed_by(OPERATOR), origin=PAGE)
    assert ask("POST", path, authorization=signed_by(OPERATOR), sec_fetch_site="same-site")
    assert ask("POST", path, authorization=signed_by(OPERATOR)) is None


def test_health_is_for_programs_only() -> None:
    assert ask("GET", "/_ministack/health") is None
    assert ask("GET", "/_ministack/health", sec_fetch_site="cross-site")
    assert ask("GET", "/_ministack/health", origin=PAGE)
    assert ask("POST", "/_ministack/health")


def test_header_that_is_sent_twice_is_refused() -> None:
    for name, values in {
        "host": (HOST, "evil.example"),
        "origin": (PAGE, PAGE),
        **{"authorization": ("a", "b")},
    }.items():
        headers = (("host", HOST), *SIGNED.items()) if name != "host" else tuple(SIGNED.items())
        twice = tuple((name, value) for value in values)
        assert refusal(Request("GET", "/", "", headers + twice), OPERATOR, {PAGE})


@pytest.mark.parametrize(
    ("method", "path", "query", "headers"),
    [
        ("POST", "/", "", SIGNED),
        ("POST", "/", "", {"authorization": signed_by(OPERATOR)}),
        ("PUT", "/bucket/key", "X-Amz-Credential=AKIAX/20260101/us-east-1/s3/aws4_request", {"origin": PAGE}),
        (
            "GET",
            "/bucket/key",
            "X-Amz-Credential=AKIAX/x",
            {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate"},
        ),
        ("POST", "/bucket", "", FORM),
        ("POST", "/bucket", "", {**FORM, "origin": PAGE}),
        ("OPTIONS", "/bucket/key", "", {"origin": PAGE}),
        ("POST", "/restapis/a1b2/api/_user_request_/auth/login", "", {"origin": "https://app.example.com"}),
    ],
)
def test_what_the_application_and_its_pages_send_goes_through(
    method: str, path: str, query: str, headers: dict[str, str]
) -> None:
    assert ask(method, path, query, **headers) is None


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_refused_request_never_reaches_the_emulator(kind: str) -> None:
    sent: list[Any] = []

    async def never(*_: Any) -> None:
        raise AssertionError("the emulator was asked")

    async def receive() -> dict[str, Any]:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "method": "POST",
        "path": FUNCTIONS,
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    run = Guard(never, OPERATOR, [PAGE])(scope, receive, send)
    with pytest.raises(StopIteration):
        run.send(None)
    assert (sent[0].get("status") or sent[0]["code"]) in (403, 1008)
    assert b"access-control-allow-origin" not in repr(sent).encode().lower()


# ---- keys ------------------------------------------------------------------------------------------------------------
def test_keys_are_drawn_for_each_folder_kept_and_readable_by_their_owner_only(tmp_path: Path) -> None:
    first, second = KeyFile(tmp_path / "a").operator(), KeyFile(tmp_path / "b").operator()
    assert first.access_key_id != second.access_key_id
    assert first.secret_access_key != second.secret_access_key
    keys = KeyFile(tmp_path / "a")
    keys.write("api", Key("AKIAX", "secret"))
    assert keys.operator() == first
    assert keys.read("api") == Key("AKIAX", "secret")
    assert keys.read("consumer") is None
    [file] = (tmp_path / "a").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(file.read_text())) == {"operator", "api"}


# ---- answers ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("length", [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES])
def test_long_answer_is_sent_in_pieces(length: int) -> None:
    body = bytes(number % 251 for number in range(length))
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})

    async def receive() -> dict[str, Any]:
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/_ministack/health", "headers": [(b"host", b"localhost")]}
    run = Guard(app, OPERATOR, [PAGE])(scope, receive, send)
    with pytest.raises(StopIteration):
        run.send(None)
    start, *pieces = sent
    assert start["status"] == 200
    assert b"".join(piece["body"] for piece in pieces) == body
    assert all(len(piece["body"]) <= PIECE_BYTES for piece in pieces)
    assert [piece.get("more_body", False) for piece in pieces] == [True] * (len(pieces) - 1) + [False]
