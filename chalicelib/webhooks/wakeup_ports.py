"""Port: the queue of wake-ups. ``chalicelib.platform.wakeup_queue`` is behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Wakeup:
    """A message that there may be something to do for a webhook. What there is to do is in the tables."""

    organization_id: str
    webhook_id: str
    delay_seconds: int = 0


class WakeupQueue(Protocol):
    """The queue of wake-ups: what has somebody look whether there is something to do for a webhook.

    Each method can raise any error of an outage, which
    ``Stores.is_outage`` tells from a bug; then some of it may have taken effect.
    """

    def send(self, wakeups: Sequence[Wakeup]) -> None:
        """Send a message for each, in as few calls as there can be; none for none. A delay has from 0 to 900 seconds;
        more is refused as an error.
        """

    def delay(self, receipt_handle: str, seconds: int) -> None:
        """Show a message that is being handled again after this time, instead of after the queue's own time-out.

        :param receipt_handle: of this delivery.
        """
