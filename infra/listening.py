"""Follows an organisation's feed over the API and posts each event, signed as a webhook is, to a local program.

It knows the API by HTTP alone, as any program of a customer would, so that it works on every deployment. Of the product
it takes the two things that a receiver must find the same: the body of a delivery and its signature.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx

from chalicelib.events.records import PublishedEvent
from chalicelib.webhooks.payload import payload_of
from chalicelib.webhooks.signatures import sign

#: The most that GET /events takes.
FEED_WAIT_SECONDS: Final = 20
#: A request that waits is answered after 20 s, or later by what the API itself needs.
FEED_TIMEOUT_SECONDS: Final = 40.0
#: As a webhook's attempt. Here it bounds each step of one: connecting, sending, the head of the answer.
FORWARD_TIMEOUT_SECONDS: Final = 15.0
#: Between attempts it doubles from 1 s up to this; somebody who mends the program is not kept waiting for long.
MAX_PAUSE_SECONDS: Final = 30.0

Say = Callable[[str], None]
Pause = Callable[[float], None]


class FeedRefused(Exception):
    """The API will not answer this however often it is asked; the sentence is the API's."""


class FeedUnavailable(Exception):
    """The API does not answer now; the sentence says what came instead.

    :param retry_after_seconds: as the API said; 0 when it did not.
    """

    def __init__(self, sentence: str, retry_after_seconds: float = 0.0) -> None:
        super().__init__(sentence)
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class SecondFactorAsked:
    """:param challenge: to be sent back with a code, within five minutes."""

    challenge: str


class Api:
    """The routes that following needs.

    Every method raises :class:`FeedRefused` for what will not be answered, such as a wrong key, and
    :class:`FeedUnavailable` for what may be answered later.
    """

    def __init__(self, client: httpx.Client) -> None:
        """:param client: with the API's address as its ``base_url``, which ends in a slash."""
        self._client = client

    def use(self, token: str) -> None:
        """:param token: of a session, or an API key."""
        self._client.headers["Authorization"] = f"Bearer {token}"

    def log_in(self, username: str, password: str) -> SecondFactorAsked | None:
        return self._start_session("auth/login", {"username": username, "password": password})

    def complete_log_in(self, asked: SecondFactorAsked, code: str) -> None:
        self._start_session("auth/second-factor", {"challenge": asked.challenge, "code": code})

    def newest_sequence(self, types: str | None) -> int:
        """The number after which there is nothing yet; 0 where nothing has happened."""
        return int(self._events({"last": 1}, types)["next_after"])

    def events_after(self, after: int, types: str | None) -> tuple[list[dict[str, Any]], int]:
        """Events in their order, as soon as there are some or 20 seconds are over, and where to go on."""
        page = self._events({"after": after, "wait": FEED_WAIT_SECONDS}, types)
        return page["events"], int(page["next_after"])

    def _start_session(self, path: str, body: dict[str, str]) -> SecondFactorAsked | None:
        answer = self._ask("POST", path, json={**body, "token": True})
        if "challenge" in answer:
            return SecondFactorAsked(answer["challenge"])
        if "token" not in answer:
            raise FeedUnavailable("The answer to the login is not this API's.")
        self.use(answer["token"])
        return None

    def _events(self, query: dict[str, int], types: str | None) -> dict[str, Any]:
        found = self._ask("GET", "events", params={**query, **({"types": types} if types else {})})
        if not {"events", "next_after"} <= found.keys():
            raise FeedUnavailable("The answer to GET /events is not this API's.")
        return found

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._client.request(method, path, **options)
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise FeedUnavailable(f"No answer from {self._client.base_url} ({_cause(error)}); is it running?") from None
        try:
            body = response.json()
        except ValueError:
            body = None
        sentence = body.get("error") if isinstance(body, dict) else None
        if response.status_code == 429 or response.status_code >= 500:
            raise FeedUnavailable(
                sentence or f"{self._client.base_url} answers {response.status_code}.", _retry_after(response)
            )
        if not response.is_success or not isinstance(body, dict):
            raise FeedRefused(sentence or f"{self._client.base_url} answers {response.status_code}; is it the API?")
        return body


@dataclass(frozen=True)
class Attempt:
    """:param status: None when there was no answer; ``cause`` then says why."""

    status: int | None
    milliseconds: int
    cause: str = ""

    @property
    def is_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class LocalProgram:
    """What the developer is writing."""

    def __init__(self, client: httpx.Client, url: str, secret: str) -> None:
        self._client, self._url, self._secret = client, url, secret

    def post(self, event: dict[str, Any]) -> Attempt:
        """Once, signed with the time of this attempt. The answer's body is not read: only its status tells anything."""
        body = payload_of(_published(event))
        headers = sign([self._secret], event["id"], int(time.time()), body)
        began = time.monotonic()
        status, cause = None, ""
        try:
            with self._client.stream(
                "POST", self._url, content=body, headers={"content-type": "application/json", **headers}
            ) as response:
                status = response.status_code
        except httpx.TransportError as error:
            cause = _cause(error)
        return Attempt(status, round((time.monotonic() - began) * 1000), cause)


class Listener:
    """Takes the events one after the other, each until the program accepts it, so that none is lost or out of order."""

    def __init__(
        self, api: Api, program: LocalProgram, types: str | None, say: Say, complain: Say, pause: Pause = time.sleep
    ) -> None:
        """
        :param types: as GET /events takes them; None for all that may be seen.
        :param say: prints a delivery.
        :param complain: prints what is wrong with the API.
        :param pause: waits so many seconds.
        """
        self._api, self._program, self._types = api, program, types
        self._say, self._complain, self._pause = say, complain, pause
        #: The number up to which everything is delivered.
        self.after = 0

    def follow(self, after: int) -> None:
        """Without an end.

        :raises FeedRefused: such as when the key is revoked meanwhile.
        """
        self.after = after
        while True:
            events, next_after = self._next_events()
            for event in events:
                self._deliver(event)
                self.after = event["sequence"]
            # Beyond the last event there may be numbers of others that are not shown to this caller.
            self.after = next_after

    def _next_events(self) -> tuple[list[dict[str, Any]], int]:
        for seconds in _pauses():
            try:
                return self._api.events_after(self.after, self._types)
            except FeedUnavailable as error:
                wanted = max(seconds, error.retry_after_seconds)
                self._complain(f"{error} Again in {wanted:.0f} s.")
                self._pause(wanted)
        raise AssertionError("the pauses have no end")

    def _deliver(self, event: dict[str, Any]) -> None:
        for seconds in _pauses():
            attempt = self._program.post(event)
            line = "  ".join(
                (
                    time.strftime("%H:%M:%S"),
                    f"{event['type']:<16}",
                    event["id"],
                    f"#{event['sequence']}",
                    str(attempt.status or attempt.cause),
                    f"{attempt.milliseconds} ms",
                )
            )
            if attempt.is_accepted:
                self._say(line)
                return
            self._say(f"{line}  again in {seconds:.0f} s")
            self._pause(seconds)


def _published(shown: dict[str, Any]) -> PublishedEvent:
    """The event that the feed shows so, to make the same body of it as a webhook has."""
    line = {name: value for name, value in shown.items() if name not in ("sequence", "organization_id")}
    return PublishedEvent(shown["organization_id"], shown["sequence"], "", json.dumps(line, ensure_ascii=False))


def _pauses() -> Iterator[float]:
    seconds = 1.0
    while True:
        yield seconds
        seconds = min(seconds * 2, MAX_PAUSE_SECONDS)


def _cause(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "timed out"
    if isinstance(error, httpx.ConnectError):
        return "cannot connect"
    return "connection broken"


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
