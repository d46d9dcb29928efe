"""MiniStack behind a check of who asks: run by the emulator's own Python.

MiniStack is made for tests. Even with AUTH=true it serves some paths without a signature (its reset among them), takes
an unsigned S3 request, the key `test` and any key of twelve digits for the account's root without checking a signature,
and answers every page with `Access-Control-Allow-Origin: *`. Any web page in the developer's browser could use that. So
before a request reaches it:

- The Host header is a loopback name: a page whose own name is rebound to 127.0.0.1 sends its own name.
- An Origin is one of those that EMULATOR_ORIGINS lists. Browsers send it with every POST, PUT and DELETE.
- It is signed with a key that MiniStack checks, or with the operator's. What is served unsigned is listed below.

What else MiniStack is made to do, and why, is in docs/decisions/0048. Nothing of ours is imported but modules beside
this one, which need no package.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

HEALTH_PATH = "/_ministack/health"
LOOPBACK_HOST = re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
#: The stage `api` of a deployed API. Its callers sign nothing; the application decides who may call it, and from where.
DEPLOYED_API_PATH = re.compile(r"/restapis/[a-z0-9]+/api/_user_request_(?:/.*)?", re.DOTALL)
#: S3's POST Object: the signature is a field of the form, and MiniStack checks it.
BUCKET_PATH = re.compile(r"/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/?")
#: MiniStack takes these for the account's root and does not check what they sign.
UNCHECKED_KEY = re.compile(r"|test|\d{12}")
PIECE_BYTES = 64 * 1024
#: More than one of these, and two readers of the request could read different ones.
SINGLE_HEADERS = ("host", "origin", "authorization")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def claimed_keys(self) -> list[str]:
        """Every access key id that this request names, wherever AWS's clients put one."""
        authorization = self.header("authorization") or ""
        claimed = re.findall(r"Credential=([^/,\s]*)", authorization)
        claimed += re.findall(r"^AWS ([^:]*):", authorization)
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            if name.lower() in ("x-amz-credential", "awsaccesskeyid"):
                claimed.append(value.partition("/")[0])
        return claimed


def refusal(request: Request, operator_key_id: str, origins: Iterable[str]) -> str | None:
    """Why this request may not reach the emulator, as a sentence for a person; None when it may."""
    names = [name for name, _ in request.headers]
    if any(names.count(name) > 1 for name in SINGLE_HEADERS):
        return "Send each of Host, Origin and Authorization once."
    if not LOOPBACK_HOST.fullmatch(request.header("host") or ""):
        return "The emulator answers to 127.0.0.1 and localhost only."
    claimed = request.claimed_keys()
    if any(UNCHECKED_KEY.fullmatch(key) for key in claimed):
        return "This access key is not accepted. The operator's key is in aws/keys.json of the state folder."
    if DEPLOYED_API_PATH.fullmatch(request.path):
        return None
    origin = request.header("origin")
    if origin is not None and origin not in origins:
        return "Pages of this origin may not use the emulator. CORS_ORIGINS lists those that may."
    if request.path.startswith(("/_ministack", "/_localstack")):
        return _administration_refusal(request, operator_key_id, claimed)
    if claimed or _may_be_unsigned(request):
        return None
    return "The request is not signed. The operator's key is in aws/keys.json of the state folder."


def _may_be_unsigned(request: Request) -> bool:
    if request.method == "OPTIONS":
        return request.header("origin") is not None
    content_type = (request.header("content-type") or "").partition(";")[0].strip().lower()
    is_form = request.method == "POST" and content_type == "multipart/form-data"
    return is_form and BUCKET_PATH.fullmatch(request.path) is not None and not request.query


def _administration_refusal(request: Request, operator_key_id: str, claimed: list[str]) -> str | None:
    """MiniStack's own paths ask for no signature. Browsers name the site that a request comes from, programs don't."""
    from_browser = any(name == "origin" or name.startswith("sec-fetch-") for name, _ in request.headers)
    if from_browser:
        return "The emulator's own paths are not for pages."
    if request.path == HEALTH_PATH and request.method in ("GET", "HEAD"):
        return None
    if len(claimed) == 1 and hmac.compare_digest(claimed[0].encode(), operator_key_id.encode()):
        return None
    return "Only the operator may do that. The operator's key is in aws/keys.json of the state folder."


class Keeper(Protocol):
    """Keeps what requests change."""

    def note_request(self, method: str, path: str, headers: tuple[tuple[str, str], ...]) -> None: ...

    def keep(self) -> None:
        """Before a request is answered."""


class Guard:
    """The ASGI application around MiniStack's."""

    def __init__(self, app: App, operator_key_id: str, origins: Iterable[str], keeper: Keeper | None = None) -> None:
        self._app = app
        self._keeper = keeper
        self._operator_key_id = operator_key_id
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # Nothing here speaks it, and pages of any origin may open one.
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            request = _read(scope)
            sentence = refusal(request, self._operator_key_id, self._origins)
            if sentence is not None:
                await _refuse(request, sentence, send)
                return
            send = _in_pieces(send)
            if self._keeper is not None:
                self._keeper.note_request(request.method, request.path, request.headers)
                send = _after(self._keeper.keep, send)
        await self._app(scope, receive, send)


def _in_pieces(send: Send) -> Send:
    """A client that leaves in the middle of a body leaves an error whose traceback holds what was being sent, for as
    long as the server keeps the connection. So let that be little (emulator_connections.py does the rest).
    """

    async def sent(message: MutableMapping[str, Any]) -> None:
        body = message.get("body", b"")
        for start in range(PIECE_BYTES, len(body), PIECE_BYTES):
            await send({"type": message["type"], "body": body[start - PIECE_BYTES : start], "more_body": True})
        last = body[(len(body) - 1) // PIECE_BYTES * PIECE_BYTES :] if body else body
        await send({**message, "body": last} if body else message)

    return sent


def _after(keep: Callable[[], None], send: Send) -> Send:
    async def kept(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            keep()
        await send(message)

    return kept


def _read(scope: Mapping[str, Any]) -> Request:
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"])
    return Request(scope["method"], scope["path"], scope.get("query_string", b"").decode("latin-1"), headers)


async def _refuse(request: Request, sentence: str, send: Send) -> None:
    """A 403 that AWS's clients can read: JSON for services that speak it, else XML."""
    if "json" in (request.header("content-type") or ""):
        kind, body = "application/x-amz-json-1.0", json.dumps({"__type": "AccessDenied", "message": sentence})
    else:
        kind = "application/xml"
        body = f"<Error><Code>AccessDenied</Code><Message>{sentence}</Message></Error>"
    headers = [("content-type", kind), ("content-length", str(len(body))), ("connection", "close")]
    await send(
        {
            "type": "http.response.start",
            "status": 403,
            "headers": [(name.encode(), value.encode()) for name, value in headers],
        }
    )
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body.encode()})


def main() -> None:
    from ministack import app as ministack

    origins = [origin for origin in os.environ.get("EMULATOR_ORIGINS", "").split(",") if origin]
    # MiniStack serves the `app` of its module.
    # Last, so that nothing of ours hides a package of the emulator's.
    sys.path.append(str(Path(__file__).resolve().parents[2]))
    ministack.app = Guard(ministack.app, os.environ["AWS_ACCESS_KEY_ID"], origins, _changed(ministack))
    ministack.main()


def _changed(ministack: Any) -> Keeper | None:
    """What MiniStack is made to do otherwise. Returns what keeps its state, if it is to be kept."""
    from hypercorn.asyncio.tcp_server import TCPServer
    from hypercorn.events import RawData
    from ministack.core.concurrency import esm_wake
    from ministack.services import dynamodb, s3, sqs

    from infra.local import (
        emulator_connections,
        emulator_objects,
        emulator_queries,
        emulator_state,
        emulator_waiting,
    )

    emulator_connections.forget_what_nobody_reads(TCPServer, RawData)
    emulator_queries.Queries(dynamodb)
    emulator_waiting.end_polls_at_once(sqs, esm_wake)
    emulator_objects.announce_before_answering(s3)
    if os.environ.get("PERSIST_STATE") != "1":
        return None
    folder = Path(os.environ["STATE_DIR"])
    emulator_objects.keep_versions_on_disk(s3)
    uploads = emulator_objects.keep_uploads_on_disk(s3, folder / "uploads")
    return emulator_state.State(ministack, folder, uploads)


if __name__ == "__main__":
    main()
