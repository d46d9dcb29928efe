"""How a route is told: method, path, who may call it and what body it reads, once, in one decorator."""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib.accounts.limits import LimitReached
from chalicelib.kernel.caller import ActorType, Caller
from chalicelib.kernel.errors import MissingPermission, SecondFactorRequired, StrongroomError, Unavailable
from chalicelib.kernel.permissions import Scope
from chalicelib.web.answers import error_answer
from chalicelib.web.bodies import Body
from chalicelib.web.identity import caller_by_ticket, caller_of
from chalicelib.web.limit_headers import add_limit_headers, report_limit
from chalicelib.wiring import stores

_log = logging.getLogger(__name__)

#: Marks a request that has reached a view of ours. The answer to any other is the framework's own error.
_OURS = "strongroom.ours"

View = Callable[..., Response]


class Access(Enum):
    """What a route asks for that is no scope."""

    #: The view gets the request and no caller.
    ANYONE = "anyone"
    #: Whoever is known: a person or an API key.
    KNOWN = "whoever is known"
    #: A person with a session: what is about passwords and sessions is not for keys.
    PERSON = "a person who is signed in"
    #: As long as the organisation requires a second factor that the person has not set up, this is all there is.
    PERSON_SETTING_UP = "a person who is signed in, also before the second factor is set up"


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    needs: Scope | Access
    body: Body
    view: View

    @property
    def by_ticket(self) -> bool:
        """Whether an upload ticket in the path stands for the session. The view does not get it."""
        return self.path.startswith("/t/{ticket}/")


class Routes(Blueprint):
    """A blueprint whose routes are told by :meth:`on`."""

    def __init__(self, import_name: str) -> None:
        super().__init__(import_name)
        self.operations: list[Operation] = []

    def on(self, method: str, path: str, *, needs: Scope | Access, body: Body = Body.UNREAD) -> Callable[[View], View]:
        """Register a view, and give it back as it is, so that one view can answer on several paths.

        A view gets the request first and, unless anyone may call it, the caller second.
        """

        def register(view: View) -> View:
            operation = Operation(method, path, needs, body, view)
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
    if operation.needs is not Access.ANYONE:
        by_ticket = operation.by_ticket
        caller = caller_by_ticket(request, path_arguments.pop("ticket")) if by_ticket else caller_of(request)
        _check_permission(caller, operation.needs)
        arguments.append(caller)
    operation.body.check(request)
    return operation.view(*arguments, **path_arguments)


def _check_permission(caller: Caller, needs: Scope | Access) -> None:
    """
    :raises MissingPermission: the caller has no such scope, or is a key where a person is needed.
    :raises SecondFactorRequired: the caller has to set one up before anything else.
    """
    if caller.must_set_up_second_factor and needs not in (Access.KNOWN, Access.PERSON_SETTING_UP):
        raise SecondFactorRequired
    if needs in (Access.PERSON, Access.PERSON_SETTING_UP) and caller.type is not ActorType.USER:
        raise MissingPermission("This is for people who are signed in, not for API keys.")
    if isinstance(needs, Scope) and not caller.may(needs):
        raise MissingPermission.of(needs)


def _told(error: Exception) -> StrongroomError:
    """What the asker is told. What they may not read is in the log only."""
    if isinstance(error, StrongroomError):
        return error
    if stores().is_outage(error):
        _log.error("A dependency is away: %s", type(error).__name__, exc_info=error)
        return Unavailable()
    _log.error("Unexpected error", exc_info=error)
    return StrongroomError()
