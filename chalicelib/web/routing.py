"""How a route is told: method, path, who may call it and what body it reads, once, in one decorator."""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib.accounts.limits import LimitReached
from chalicelib.kernel.errors import StrongroomError, Unavailable
from chalicelib.web.answers import error_answer
from chalicelib.web.bodies import Body
from chalicelib.web.identity import caller_by_session, caller_by_ticket
from chalicelib.web.limit_headers import add_limit_headers, report_limit
from chalicelib.wiring import stores

_log = logging.getLogger(__name__)

#: Marks a request that has reached a view of ours. The answer to any other is the framework's own error.
_OURS = "strongroom.ours"

View = Callable[..., Response]


class Who(Enum):
    """Who may call a route. A view gets the request first and, unless anyone may call it, the caller second."""

    ANYONE = "anyone"
    SIGNED_IN = "a live session"
    #: The path has the parameter ``ticket``, which the view does not get.
    TICKET = "an upload ticket in the path"


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    who: Who
    body: Body
    view: View


class Routes(Blueprint):
    """A blueprint whose routes are told by :meth:`on`."""

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name)
        self.operations: list[Operation] = []

    def on(self, method: str, path: str, *, who: Who, body: Body = Body.UNREAD) -> Callable[[View], View]:
        """Register a view, and give it back as it is, so that one view can answer on several paths."""

        def register(view: View) -> View:
            operation = Operation(method, path, who, body, view)
            self.operations.append(operation)

            @functools.wraps(view)
            def handle(**path_arguments: str) -> Response:
                return _answer(self.current_request, operation, path_arguments)

            # Chalice checks content types of bodies that nobody reads, too, with an error of its own form.
            self.route(path, methods=[method], content_types=[], name=f"{method} {path}")(handle)
            return view

        return register


def reached_a_view(request: Request) -> bool:
    return _OURS in request.context


def _answer(request: Request, operation: Operation, path_arguments: dict[str, str]) -> Response:
    request.context[_OURS] = True
    try:
        response = _call(request, operation, path_arguments)
    except Exception as error:
        if isinstance(error, LimitReached):
            report_limit(request, error.limit_status)
        response = error_answer(request, _told(error))
    add_limit_headers(request, response)
    return response


def _call(request: Request, operation: Operation, path_arguments: dict[str, str]) -> Response:
    arguments: list[Any] = [request]
    if operation.who is Who.SIGNED_IN:
        arguments.append(caller_by_session(request))
    elif operation.who is Who.TICKET:
        arguments.append(caller_by_ticket(request, path_arguments.pop("ticket")))
    operation.body.check(request)
    return operation.view(*arguments, **path_arguments)


def _told(error: Exception) -> StrongroomError:
    """What the asker is told. What they may not read is in the log only."""
    if isinstance(error, StrongroomError):
        return error
    if stores().is_outage(error):
        _log.error("A dependency is away: %s", type(error).__name__, exc_info=error)
        return Unavailable()
    _log.error("Unexpected error", exc_info=error)
    return StrongroomError()
