"""What schemathesis has to know beyond the document: who is signed in, which things exist, what holds for every answer.

Generated ids hit nothing; so half of the requests that name a file, an upload, a ticket or a key get one that an
earlier answer told of. Sessions are drawn once and kept, but for logging out, which ends them.
"""

from __future__ import annotations

import json
import os
import random
import urllib.request
import zlib
from collections import Counter
from typing import Any

import pyotp
import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import negative_data_rejection

from tests.fuzz import server
from tests.sentences import foreign_words

ERROR_KEYS = {"error", "message", "code", "request_id"}
FIRST_ERROR_STATUS = 400

#: Operation -> status -> how many answers.
answers: dict[str, Counter[int]] = {}
_known: dict[str, list[Any]] = {
    **{name: [] for name in ("file_id", "failed", "upload", "ticket", "key_id", "key", "invitation", "webhook_id")},
    # Of the user who has a second factor, or is setting one up.
    **{name: [] for name in ("secret", "recovery_code", "challenge")},
}
_MOST_KNOWN = 50

Case = schemathesis.Case[Any]


def log_in(base_url: str, username: str) -> str:
    body = json.dumps({"username": username, "password": server.PASSWORD}).encode()
    request = urllib.request.Request(f"{base_url}/auth/login", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        cookie: str = answer.headers["Set-Cookie"]
    return cookie.partition("=")[2].partition(";")[0]


def learn_failed_files(base_url: str) -> None:
    """The files that were given up before the run, which nothing in the run could bring about."""
    headers = {"Authorization": f"Bearer {log_in(base_url, server.UPLOADING_USERNAME)}"}
    request = urllib.request.Request(f"{base_url}/files?status=failed&limit=100", headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        _known["failed"] = [file["id"] for file in json.load(answer)["files"]]


@schemathesis.auth(refresh_interval=None)
class Session:
    """The bearer token of a user who uploads, or manages; logging out and ending sessions get one of their own."""

    _kept: str | None = None
    _managing: str | None = None
    _careful: str | None = None

    def get(self, case: Case, context: schemathesis.AuthContext) -> str:
        base_url = os.environ["FUZZ_BASE_URL"]
        if case.operation.label == "POST /auth/logout" or case.operation.path.startswith("/auth/sessions"):
            return log_in(base_url, server.LEAVING_USERNAME)
        if server.MANAGED.match(case.path):
            Session._managing = Session._managing or log_in(base_url, server.MANAGING_USERNAME)
            return Session._managing
        if case.operation.path.startswith("/auth/second-factor"):
            # One session for the whole run: there is no second login without a code.
            Session._careful = Session._careful or log_in(base_url, server.CAREFUL_USERNAME)
            return Session._careful
        if Session._kept is None:
            # Not the user that the document's example logs in as: a user's 21st session ends the oldest.
            Session._kept = log_in(base_url, server.UPLOADING_USERNAME)
        return Session._kept

    def set(self, case: Case, data: str, context: schemathesis.AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Names what exists, in half of the requests that were to name anything valid."""
    if case.meta is not None and case.meta.is_negative_at(ParameterLocation.PATH):
        return
    # From the case itself, so that a failing one fails again when it is repeated.
    chance = random.Random(zlib.crc32(repr((case.path, case.path_parameters, case.query, case.body)).encode()))
    parameters = dict(case.path_parameters or {})
    for name in ("file_id", "ticket", "key_id", "webhook_id"):
        kind = "failed" if case.path.endswith("/retry") else name
        if name in parameters and _known[kind] and chance.random() < 0.5:
            parameters[name] = chance.choice(_known[kind])
    if "upload_id" in parameters and _known["upload"] and chance.random() < 0.5:
        parameters["upload_id"], key = chance.choice(_known["upload"])
        case.query = {**(case.query or {}), "key": key}
    if "invitation_id" in parameters and _known["invitation"] and chance.random() < 0.5:
        parameters["invitation_id"], _ = chance.choice(_known["invitation"])
    if case.path == "/invitations/accept" and _known["invitation"] and chance.random() < 0.5:
        _accept(case, chance)
    if parameters != case.path_parameters:
        case.path_parameters = parameters
    _lead_here(case, chance)
    is_wrong_body = case.meta is not None and case.meta.is_negative_at(ParameterLocation.BODY)
    if case.path == "/api-keys/revoke" and _known["key"] and not is_wrong_body and chance.random() < 0.5:
        case.body = {"key": chance.choice(_known["key"])}
    elif not is_wrong_body and chance.random() < 0.3:
        known = _known_body(case)
        if known is not None:
            case.body = dict(known)


def _lead_here(case: Case, chance: random.Random) -> None:
    """The URL of a webhook, where it was to be valid, leads to a host that the server lets webhooks go to."""
    is_wrong = case.meta is not None and case.meta.is_negative_at(ParameterLocation.BODY)
    if is_wrong or not case.path.startswith("/webhooks") or chance.random() < 0.3:
        return
    if isinstance(case.body, dict) and "url" in case.body:
        case.body = {**case.body, "url": f"http://127.0.0.1:9/{chance.getrandbits(32):x}"}


def _known_body(case: Case) -> Any:
    """With the password, or the code, that is right."""
    if case.path == "/auth/password":
        # The new one is the old one, or the next request would not know it.
        return {"current_password": server.PASSWORD, "new_password": server.PASSWORD}
    if case.path == "/auth/login" and _known["recovery_code"]:
        return {"username": server.CAREFUL_USERNAME, "password": server.PASSWORD}
    code = {"code": _known["recovery_code"].pop()} if _known["recovery_code"] else {}
    if case.path == "/auth/second-factor/setup":
        return {"password": server.PASSWORD, **code}
    if case.path == "/auth/second-factor/confirm" and _known["secret"]:
        return {"code": pyotp.TOTP(_known["secret"][-1]).now()}
    if case.path == "/auth/second-factor" and case.method.upper() == "POST" and _known["challenge"] and code:
        return {"challenge": _known["challenge"].pop(), **code}
    if case.path in ("/auth/second-factor", "/auth/second-factor/recovery-codes") and code:
        return {"password": server.PASSWORD, **code}
    return None


def _accept(case: Case, chance: random.Random) -> None:
    """With a token that is good, unless it was used, and a name that nobody has."""
    if case.meta is not None and case.meta.is_negative_at(ParameterLocation.BODY):
        return
    _, token = chance.choice(_known["invitation"])
    case.body = {"token": token, "username": f"new-{chance.getrandbits(64):x}", "password": server.PASSWORD}


@schemathesis.hook
def after_call(context: schemathesis.HookContext, case: Case, response: schemathesis.Response) -> None:
    """Counts, and remembers what the answer tells of."""
    answers.setdefault(case.operation.label, Counter())[response.status_code] += 1
    if response.status_code not in (200, 201) or case.method.upper() != "POST":
        return
    body = response.json()
    for name in ("secret", "challenge"):
        if name in body and case.path.startswith("/auth/"):
            _remember(name, body[name])
    _known["recovery_code"] = body.get("recovery_codes", _known["recovery_code"])
    if case.path == "/files":
        _remember("file_id", body["id"])
    elif case.path == "/auth/ticket":
        _remember("ticket", body["base_path"].removeprefix("/t/"))
    elif case.path.startswith("/api-keys"):
        _remember("key_id", body["id"])
        _remember("key", body["key"])
    elif case.path == "/webhooks":
        _remember("webhook_id", body["id"])
    elif case.path == "/invitations" or case.path.endswith("/resend"):
        _remember("invitation", (body["id"], body["token"]))
    elif case.path.endswith("/s3/multipart"):
        _remember("upload", (body["uploadId"], body["key"]))
        _remember("file_id", body["key"].partition("/")[2])


def summary() -> str:
    """How each operation answered, and how many requests there were in all."""
    lines = []
    for operation, statuses in sorted(answers.items(), key=lambda item: item[0].split()[::-1]):
        told = "  ".join(f"{status}: {count}" for status, count in sorted(statuses.items()))
        lines.append(f"{operation:<55} {told}")
    return "\n".join([*lines, f"{requests_in_all()} requests in all"])


def requests_in_all() -> int:
    return sum(statuses.total() for statuses in answers.values())


def _remember(kind: str, thing: Any) -> None:
    _known[kind] = [*_known[kind][-_MOST_KNOWN:], thing]


@schemathesis.check
def wrong_input_is_refused(ctx: schemathesis.CheckContext, response: schemathesis.Response, case: Case) -> bool | None:
    """But for the type of a form's part: whatever was generated, what is sent are bytes, and any bytes are a file."""
    if case.media_type == "multipart/form-data" and isinstance(case.body, dict) and "file" in case.body:
        return True
    return negative_data_rejection(ctx, response, case)


@schemathesis.check
def contract(ctx: schemathesis.CheckContext, response: schemathesis.Response, case: Case) -> None:
    """What holds for every answer, documented or not."""
    headers = response.headers
    # What is the same for everybody, and part of the version, may be kept.
    is_kept = case.path.startswith(("/schemas/", "/console/")) and response.status_code < FIRST_ERROR_STATUS
    assert is_kept or headers["cache-control"] == ["no-store"], "Cache-Control is not no-store"
    assert headers["x-content-type-options"] == ["nosniff"], "X-Content-Type-Options is not nosniff"
    if response.status_code < FIRST_ERROR_STATUS or case.method.upper() == "HEAD" or case.path == "/health":
        return
    body = response.json()
    assert set(body) == ERROR_KEYS, f"an error with {sorted(body)}"
    assert body["error"] == body["message"], "error and message differ"
    assert body["request_id"], "no request_id"
    assert body["error"].endswith("."), f"not a sentence: {body['error']}"
    assert not foreign_words(body["error"]), f"not our words: {body['error']}"
