"""Gives botocore the outcome of the first attempt, as if it had made that attempt itself.

From there on everything is botocore's: whether and when to try again, following S3 to another region, parsing an error,
what is raised.
"""

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.endpoint import Endpoint

Outcome = AWSResponse | Exception

#: Here, before anybody puts something else in its place to watch attempts: this one has been seen.
_do_get_response = Endpoint._do_get_response  # type: ignore[attr-defined]


class Handover:
    """Of one client, whose endpoint is changed."""

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint
        self._pending = threading.local()
        endpoint._do_get_response = self._respond

    @contextmanager
    def first_outcome(self, outcome: Outcome) -> Iterator[None]:
        """Within, the first attempt that the endpoint makes in this thread has this outcome."""
        self._pending.outcome = outcome
        try:
            yield
        finally:
            self._pending.outcome = None

    def _respond(self, request: Any, operation_model: Any, context: Any) -> Any:
        outcome = getattr(self._pending, "outcome", None)
        self._pending.outcome = None
        if outcome is None:
            return type(self._endpoint)._do_get_response(self._endpoint, request, operation_model, context)
        if isinstance(outcome, Exception):
            return None, outcome
        replay = copy.copy(self._endpoint)
        replay._event_emitter = _NothingIsSent(self._endpoint._event_emitter)
        replay._send = lambda _: outcome
        return _do_get_response(replay, request, operation_model, context)


class _NothingIsSent:
    """The endpoint's emitter, but for the event of sending: who listens to that has heard this attempt."""

    def __init__(self, emitter: Any) -> None:
        self._emitter = emitter

    def emit(self, event_name: str, **arguments: Any) -> Any:
        return [] if event_name.startswith("before-send.") else self._emitter.emit(event_name, **arguments)
