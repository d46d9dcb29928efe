"""Who the operator is, and events of commands whose effect no other event tells."""

from __future__ import annotations

import getpass
import secrets
from typing import TYPE_CHECKING, Any

from chalicelib.events.records import NOBODYS_ORGANIZATION, Event, EventType, Target
from chalicelib.kernel.acting import Actor, ActorKind, act_as

if TYPE_CHECKING:
    from chalicelib.wiring import Stores

PROGRAM = "strongroom"


def act_as_operator() -> None:
    """As the user of the operating system. AWS knows by whose credentials it was (CloudTrail)."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        # A container's user may have no name (Python: OSError since 3.13, KeyError before).
        name = "unknown"
    act_as(Actor(ActorKind.OPERATOR, id=name, name=name, program=PROGRAM))


def tell(
    stores: Stores,
    command: str,
    *,
    organization_id: str = NOBODYS_ORGANIZATION,
    target: Target | None = None,
    occasion: str | None = None,
    **more: Any,
) -> None:
    """Write that a command has acted. Call it after the act: if it can't be written the command fails, and the
    operator repeats it. The commands that call it can be repeated.

    :param organization_id: whose it is; without it, an act on all of them.
    :param occasion: the same for an act that is only repeated; None makes each call an act of its own.
    :param more: what else the event tells.
    """
    stores.outbox.put(
        Event(
            organization_id=organization_id,
            type=EventType.OPERATOR_ACTED,
            target=target or Target("deployment", stores.settings.stage),
            occasion=occasion or secrets.token_hex(16),
            data={"command": command, **more},
        )
    )
