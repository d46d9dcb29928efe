"""Who acts in this request, message or command, and from where: what an event says of its actor.

The edges set it (the web after authentication, event functions, the command line), and events read it. It follows the
thread of control, as the log's context does; whoever starts threads has to hand on the context.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class ActorKind(StrEnum):
    USER = "user"
    API_KEY = "api_key"
    #: An upload ticket; id and name are those of the user or key that drew it.
    TICKET = "ticket"
    OPERATOR = "operator"
    SYSTEM = "system"
    #: Somebody who has not shown who they are.
    ANONYMOUS = "anonymous"


@dataclass(frozen=True)
class Actor:
    """:param address: as the gateway saw it; ``program`` as the client named itself. None where there is none."""

    type: ActorKind
    id: str | None = None
    name: str | None = None
    address: str | None = None
    program: str | None = None

    def to_json(self) -> dict[str, Any]:
        told = {"id": self.id, "name": self.name, "address": self.address, "program": self.program}
        return {"type": self.type.value} | {key: value for key, value in told.items() if value}


@dataclass(frozen=True)
class Acting:
    actor: Actor
    request_id: str | None = None


_SYSTEM = Acting(Actor(ActorKind.SYSTEM))
_acting: ContextVar[Acting] = ContextVar("acting", default=_SYSTEM)


def acting() -> Acting:
    return _acting.get()


def act_as(actor: Actor, request_id: str | None = None) -> None:
    """From now on, in this thread.

    :param request_id: None keeps the one that is known.
    """
    _acting.set(Acting(actor, request_id or _acting.get().request_id))


def act_as_system(request_id: str | None = None) -> None:
    _acting.set(Acting(_SYSTEM.actor, request_id))


@contextmanager
def acting_as(kind: ActorKind, id: str, name: str) -> Iterator[None]:
    """Within, somebody who has just shown who they are: the address and the program stay."""
    before = _acting.get()
    token = _acting.set(replace(before, actor=replace(before.actor, type=kind, id=id, name=name)))
    try:
        yield
    finally:
        _acting.reset(token)
