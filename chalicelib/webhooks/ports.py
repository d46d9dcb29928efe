"""Port: posting to a server of somebody else's choice. ``chalicelib.platform.outbound`` is behind it."""

from collections.abc import Mapping
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
    :param retry_after_seconds: how long a 429 or a 503 asks us to wait, without a bound; None when it does not say.
    """

    status: int | None
    milliseconds: int
    body_start: str
    error: str | None
    retry_after_seconds: int | None = None

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
