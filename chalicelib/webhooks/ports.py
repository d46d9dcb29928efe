"""Port: posting to a server of somebody else's choice. ``chalicelib.platform.outbound`` is behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Answer:
    """What came of one attempt.

    :param status: HTTP status; None when there was no answer.
    :param milliseconds: from the beginning of the attempt to its end.
    :param body_start: the first 1,024 bytes of the answer's body, as text; "" when there was none.
    :param error: why there is no whole answer, in a sentence for the customer that says nothing of our network; None
        when there is one. It can stand beside a status: the head of an answer came and its body broke off.
    """

    status: int | None
    milliseconds: int
    body_start: str
    error: str | None

    @property
    def is_accepted(self) -> bool:
        """Any status from 200 to 299 (Standard Webhooks, "Operational considerations"), whatever became of the body."""
        return self.status is not None and 200 <= self.status < 300


class Sender(Protocol):
    def check(self, url: str) -> None:
        """Refuse a URL to which nothing would ever be sent. It asks the DNS, for seconds at most.

        :raises BadInput: with a sentence that says why. A name that can't be resolved is refused too.
        """

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST once. It checks anew where the URL leads, follows no redirect, and ends within 15 seconds.

        :param headers: beside those that every request has, such as Host and Content-Length.
        :returns: whatever happened; it raises nothing for what the other side or the network does.
        """


@dataclass(frozen=True)
class Wakeup:
    """A message that there may be something to do for a webhook. What there is to do is in the tables."""

    organization_id: str
    webhook_id: str
    delay_seconds: int = 0


class WakeupQueue(Protocol):
    """The queue of wake-ups: what has somebody look whether there is something to do for a webhook.

    ``chalicelib.platform.wakeup_queue`` is behind it. Each method can raise any error of an outage, which
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
