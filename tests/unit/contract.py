"""The parts of the HTTP contract (DESIGN.md, section 3) that hold for every answer."""

from __future__ import annotations

import re

from chalicelib.kernel.caller import Caller
from tests.sentences import foreign_words
from tests.unit.api import Answer

ISO_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
FILE_KEYS = {
    *("id", "filename", "status", "file_size", "mime_type", "declared_type", "sha256_hash", "created_at"),
    *("processed_at", "checksums", "sha256"),
}
RATE_LIMIT_HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def user_json(caller: Caller) -> dict[str, object]:
    """Who somebody is, as login and GET /auth/me tell it."""
    return {
        "id": caller.user_id,
        "username": caller.username,
        "organization_id": caller.organization_id,
        "role": caller.role,
        "scopes": sorted(caller.scopes),
        "second_factor": caller.has_second_factor,
        "must_set_up_second_factor": caller.must_set_up_second_factor,
    }


def check_headers(answer: Answer) -> None:
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    if answer.body:
        assert answer.headers["Content-Type"] == "application/json"


def check_success(answer: Answer, status: int = 200) -> None:
    assert answer.status == status, answer.body
    check_headers(answer)
    if answer.body:
        assert "error" not in answer.json


def check_error(answer: Answer, status: int) -> str:
    """The sentence of an answer that has to be this error."""
    assert answer.status == status, answer.body
    check_headers(answer)
    body = answer.json
    assert set(body) == {"error", "message", "code", "request_id"}
    assert body["error"] == body["message"]
    assert re.fullmatch(r"[\w'\"`].*\w.*[.]", body["error"]), "not one line that is a sentence"
    assert not foreign_words(body["error"]), f"not our words: {body['error']}"
    assert body["request_id"]
    if status == 401:
        assert answer.headers["WWW-Authenticate"].startswith("Bearer") or "password" in body["error"]
    if status == 429:
        assert int(answer.headers["Retry-After"]) > 0
    return str(body["error"])


def check_rate_limit_headers(answer: Answer) -> None:
    limit, remaining, reset = (int(answer.headers[name]) for name in RATE_LIMIT_HEADERS)
    assert limit > 0
    assert 0 <= remaining <= limit
    assert reset > 0


def check_file_record(record: dict[str, object]) -> None:
    wanted = FILE_KEYS | ({"error_message"} if record["status"] == "failed" else set())
    assert set(record) == wanted
    assert UUID7.fullmatch(str(record["id"]))
    assert ISO_UTC.fullmatch(str(record["created_at"]))
    done = record["status"] in ("completed", "failed")
    assert (record["processed_at"] is not None) == done
    if done:
        assert ISO_UTC.fullmatch(str(record["processed_at"]))
