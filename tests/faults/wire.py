"""Stands between the code and the wire: counts every call to AWS and Redis, and makes chosen ones fail in chosen ways.

Both boto3 and PynamoDB send through botocore, so one pair of hooks sees them all: ``BaseClient._make_api_call`` is one
call of ours, ``Endpoint._do_get_response`` is one attempt at it, of which the client's own retries make several. On the
fast path the first attempt is ``FastPath.attempt``, and a call that it gives to botocore is the same call. A fault is
decided per call and injected per attempt, so that a call that is to fail does so, whatever the client retries.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import botocore.client
import botocore.endpoint
import pytest
import redis.client
import redis.exceptions
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError, ResponseStreamingError
from botocore.response import StreamingBody
from moto.core.botocore_stubber import MockRawResponse

from chalicelib.platform import aws
from chalicelib.platform.fast_path import client as fast_path
from tests.faults.clock import Clock
from tests.faults.tokens import Tokens


class SimulatedCrash(BaseException):
    """The process is gone. Not an Exception: nothing in the code may take note and tidy up."""


class Mode(StrEnum):
    """What happens at a call."""

    DIES_BEFORE = "dies before"
    DIES_AFTER = "dies after"
    UNREACHABLE = "no connection"
    ANSWER_LOST = "answer lost"
    ANSWER_LOST_ONCE = "answer lost once"
    THROTTLED = "throttled"
    SERVER_ERROR = "server error"
    #: No outage and nothing that passes: a permission is missing, a request is not understood.
    REFUSED = "refused"
    #: For measuring time only; what becomes of it is what becomes of no connection.
    HANGS = "hangs"


#: service -> code, HTTP status of what each says when it has too much to do, and when it is broken.
_THROTTLED = {
    "DynamoDB": ("ThrottlingException", 400),
    "S3": ("SlowDown", 503),
    "SQS": ("RequestThrottled", 403),
}
_BROKEN = {
    "DynamoDB": ("InternalServerError", 500),
    "S3": ("InternalError", 500),
    "SQS": ("InternalFailure", 500),
}


@dataclass
class Call:
    """One call of ours, with its position among those that are counted."""

    position: int
    name: str
    attempts: int = 0
    mode: Mode | None = None


Plan = Callable[[Call], Mode | None]


@dataclass
class Wire:
    """What went over the wire, and what is to go wrong there."""

    clock: Clock
    plan: Plan | None = None
    calls: list[Call] = field(default_factory=list)
    tokens: Tokens = field(default_factory=Tokens)
    _counting: bool = False
    _dead: bool = False
    _only_thread: int | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _current: threading.local = field(default_factory=threading.local)

    @contextmanager
    def watched(self, plan: Plan | None = None, *, only_this_thread: bool = False) -> Iterator[list[Call]]:
        """Count the calls of what happens inside, and let ``plan`` decide what becomes of each."""
        self.calls, self.plan, self._counting, self._dead = [], plan, True, False
        self._only_thread = threading.get_ident() if only_this_thread else None
        try:
            yield self.calls
        finally:
            self.plan, self._counting, self._dead, self._only_thread = None, False, False, None

    @contextmanager
    def by_somebody_else(self) -> Iterator[None]:
        """What a client sends to S3 by itself is none of our calls."""
        counting, self._counting = self._counting, False
        try:
            yield
        finally:
            self._counting = counting

    def begin(self, name: str) -> Call | None:
        """A call starts. None when it is not one that counts."""
        if not self._counting or self._only_thread not in (None, threading.get_ident()):
            return None
        with self._lock:
            if self._dead:
                # Whatever a dying process still tries, as in a finally clause, never leaves it.
                raise SimulatedCrash
            call = Call(len(self.calls), name)
            self.calls.append(call)
        call.mode = self.plan(call) if self.plan else None
        if call.mode is Mode.DIES_BEFORE:
            self._die()
        return call

    def end(self, call: Call | None) -> None:
        """The call took effect and its answer arrived."""
        if call is not None and call.mode is Mode.DIES_AFTER:
            self._die()

    def _die(self) -> None:
        self._dead = True
        raise SimulatedCrash

    # ---- AWS -----------------------------------------------------------------------------------------------------
    def aws_call(self, original: Callable[..., Any], client: Any, operation: str, params: dict[str, Any]) -> Any:
        inside = getattr(self._current, "inside", None)
        if inside == (client, operation):
            return original(client, operation, params)
        call = self.begin(_aws_name(client, operation, params))
        outer, self._current.call = getattr(self._current, "call", None), call
        self._current.inside = client, operation
        try:
            answer = original(client, operation, params)
        finally:
            self._current.call, self._current.inside = outer, inside
        self.end(call)
        if call is not None and operation == "GetObject":
            answer["Body"] = _WatchedBody(self, answer["Body"], call.name + ", body")
        return answer

    def aws_attempt(
        self, original: Callable[..., Any], endpoint: Any, request: Any, model: Any, context: dict[str, Any]
    ) -> Any:
        return self._attempt(
            lambda: original(endpoint, request, model, context), request, model, context["client_config"]
        )

    def fast_attempt(self, original: Callable[..., Any], path: Any, request: Any, model: Any, place: Any) -> Any:
        def send() -> Any:
            response = original(path, request, model, place)
            # Nobody here looks into a parsed answer that botocore has not parsed.
            return (response, {}), None

        answer, error = self._attempt(send, request, model, path._client.meta.config)
        if error is not None:
            raise error
        response, parsed = answer
        return told_in_full(response, parsed, model.service_model.service_name) if "Error" in parsed else response

    def _attempt(self, send: Callable[[], Any], request: Any, model: Any, timeouts: Any) -> Any:
        call: Call | None = getattr(self._current, "call", None)
        service = model.service_model.service_id
        if call is not None:
            call.attempts += 1
            if call.mode is Mode.UNREACHABLE:
                self.clock.forward(timeouts.connect_timeout)
                return None, ConnectTimeoutError(endpoint_url=request.url)
            if call.mode is Mode.HANGS:
                # Connected at the last moment, and then silence.
                self.clock.forward(timeouts.connect_timeout + timeouts.read_timeout)
                return None, ReadTimeoutError(endpoint_url=request.url)
            if call.mode is Mode.THROTTLED:
                return refusal(request.url, *_THROTTLED[service]), None
            if call.mode is Mode.SERVER_ERROR:
                return refusal(request.url, *_BROKEN[service]), None
            if call.mode is Mode.REFUSED:
                return refusal(request.url, "AccessDenied", 403), None
        with self._lock:
            # moto's state is plain Python: one request at a time, as a real service serialises those of one item.
            answer = self.tokens.answer(request, model) or send()
            self.tokens.note(request, model, answer)
        lost = call is not None and (
            call.mode is Mode.ANSWER_LOST or (call.mode is Mode.ANSWER_LOST_ONCE and call.attempts == 1)
        )
        if lost:
            self.clock.forward(timeouts.connect_timeout + timeouts.read_timeout)
            return None, ReadTimeoutError(endpoint_url=request.url)
        return answer

    # ---- Redis ---------------------------------------------------------------------------------------------------
    def redis_call(self, original: Callable[..., Any], client: Any, *args: Any, **options: Any) -> Any:
        call = self.begin(f"Redis {str(args[0]).upper()}")
        outer, self._current.redis_call = getattr(self._current, "redis_call", None), call
        try:
            answer = original(client, *args, **options)
        finally:
            self._current.redis_call = outer
        self.end(call)
        return answer

    def redis_attempt(
        self, original: Callable[..., Any], client: Any, connection: Any, command: str, *args: Any, **options: Any
    ) -> Any:
        call: Call | None = getattr(self._current, "redis_call", None)
        if call is None:
            return original(client, connection, command, *args, **options)
        call.attempts += 1
        if call.mode is Mode.UNREACHABLE:
            self.clock.forward(connection.socket_connect_timeout)
            raise redis.exceptions.ConnectionError("no connection")
        if call.mode is Mode.HANGS:
            self.clock.forward(connection.socket_connect_timeout + connection.socket_timeout)
            raise redis.exceptions.TimeoutError("no answer")
        if call.mode is Mode.THROTTLED:
            raise redis.exceptions.BusyLoadingError("LOADING")
        if call.mode is Mode.SERVER_ERROR:
            raise redis.exceptions.ResponseError("MISCONF")
        answer = original(client, connection, command, *args, **options)
        if call.mode is Mode.ANSWER_LOST or (call.mode is Mode.ANSWER_LOST_ONCE and call.attempts == 1):
            self.clock.forward(connection.socket_timeout)
            raise redis.exceptions.TimeoutError("no answer")
        return answer


@contextmanager
def tapped(clock: Clock) -> Iterator[Wire]:
    """Put a :class:`Wire` under boto3, PynamoDB and redis, for the whole process."""
    wire = Wire(clock)
    client_class: Any = botocore.client.BaseClient
    fast_client: Any = fast_path._Client
    fast_class: Any = fast_path.FastPath
    fast_call, fast_attempt = fast_client._make_api_call, fast_class.attempt
    endpoint_class: Any = botocore.endpoint.Endpoint
    api_call, attempt = client_class._make_api_call, endpoint_class._do_get_response
    redis_call = redis.client.Redis._execute_command
    redis_attempt = redis.client.Redis._send_command_parse_response
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client_class, "_make_api_call", lambda *arguments: wire.aws_call(api_call, *arguments))
        patch.setattr(fast_client, "_make_api_call", lambda *arguments: wire.aws_call(fast_call, *arguments))
        patch.setattr(fast_class, "attempt", lambda *arguments: wire.fast_attempt(fast_attempt, *arguments))
        patch.setattr(endpoint_class, "_do_get_response", lambda *arguments: wire.aws_attempt(attempt, *arguments))
        patch.setattr(
            redis.client.Redis,
            "_execute_command",
            lambda *arguments, **options: wire.redis_call(redis_call, *arguments, **options),
        )
        patch.setattr(
            redis.client.Redis,
            "_send_command_parse_response",
            lambda *arguments, **options: wire.redis_attempt(redis_attempt, *arguments, **options),
        )
        yield wire


class _WatchedBody(StreamingBody):
    """The body of an object, each piece of which is a point of its own: a connection may break in the middle."""

    def __init__(self, wire: Wire, body: Any, name: str) -> None:
        super().__init__(body._raw_stream, body._content_length)
        self._wire = wire
        self._name = name

    def read(self, amt: int | None = None) -> bytes:
        call = self._wire.begin(self._name)
        mode = call.mode if call is not None else None
        if mode is Mode.HANGS:
            self._wire.clock.forward(aws.STREAM_READ_TIMEOUT_SECONDS)
        if mode in (Mode.UNREACHABLE, Mode.ANSWER_LOST, Mode.HANGS):
            raise ReadTimeoutError(endpoint_url="S3")
        if mode is not None and mode not in (Mode.DIES_BEFORE, Mode.DIES_AFTER):
            raise ResponseStreamingError(error="connection broken")
        piece: bytes = super().read(amt)
        self._wire.end(call)
        return piece


def refusal(url: str, code: str, status: int) -> tuple[AWSResponse, dict[str, Any]]:
    """An answer that says no, as botocore's parser would have it."""
    parsed = {
        "Error": {"Code": code, "Message": code},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }
    return AWSResponse(url, status, HTTPHeaders(), MockRawResponse(b"")), parsed


def told_in_full(response: AWSResponse, parsed: dict[str, Any], service: str) -> AWSResponse:
    """A refusal as AWS sends it, for botocore to parse."""
    code, status = parsed["Error"]["Code"], response.status_code
    if service == "s3":
        text = f"<Error><Code>{code}</Code><Message>{code}</Message></Error>"
    else:
        text = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": code})
    return AWSResponse(response.url, status, HTTPHeaders(), MockRawResponse(text.encode()))


def _aws_name(client: Any, operation: str, params: dict[str, Any]) -> str:
    """For people: service, operation and what it is done to, without this run's ids."""
    service = client.meta.service_model.service_id
    if operation in ("TransactWriteItems", "TransactGetItems"):
        done = []
        for item in params["TransactItems"]:
            ((verb, details),) = item.items()
            done.append(f"{verb} {_short(details['TableName'])}")
        return f"{service} {operation} ({', '.join(done)})"
    return f"{service} {operation} {_short(params.get('TableName') or params.get('Bucket') or '')}".strip()


def _short(name: str) -> str:
    """``strongroom-test-files`` -> ``files``; ``strongroom-test-temp-123456789012`` -> ``temp``."""
    return [part for part in name.split("-") if not part.isdigit()][-1]
