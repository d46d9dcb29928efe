"""`infra listen` against the application in this process: what is posted, in which order, and what is done when not."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import httpx
import pytest

from chalicelib.events.records import Event, EventType, Target
from chalicelib.kernel.permissions import Scope
from chalicelib.webhooks.payload import payload_of
from chalicelib.webhooks.signatures import new_secret, sign
from infra.listening import Api as FeedApi
from infra.listening import FeedRefused, Listener, LocalProgram
from tests.unit.api import Api, Session
from tests.unit.authenticator import set_up, stopped_clock
from tests.unit.keys import make_key
from tests.unit.operator.conftest import Operator
from tests.unit.world import World

SECRET = new_secret()
HOOK = "http://127.0.0.1:3000/hook"
Outcome = int | httpx.TransportError


class Done(Exception):
    """The feed was asked for what comes after the last event: there is nothing left to see."""


class Desk:
    """A developer's machine: the application over httpx, and a program that answers as it is told to."""

    def __init__(self, api: Api, world: World) -> None:
        self._api, self._world = api, world
        #: Of the program, one an attempt; 204 when they are used up.
        self.outcomes: list[Outcome] = []
        #: Of what is between here and the API, before it gets through.
        self.outages: list[httpx.Response | httpx.TransportError] = []
        self.posted: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.on_pause: Callable[[float], object] = lambda seconds: None
        self.said: list[str] = []
        self.complaints: list[str] = []
        self.feed = FeedApi(
            httpx.Client(base_url="http://api.example.com/", transport=httpx.MockTransport(self._ask_api))
        )
        self._program = LocalProgram(httpx.Client(transport=httpx.MockTransport(self._take)), HOOK, SECRET)

    def follow(self, after: int = 0, types: str | None = None) -> None:
        """Until all is delivered."""
        self._world.publish()
        with pytest.raises(Done):
            self.listener(types).follow(after)

    def listener(self, types: str | None = None) -> Listener:
        return Listener(self.feed, self._program, types, self.said.append, self.complaints.append, self._pause)

    @property
    def ids(self) -> list[str]:
        return [request.headers["webhook-id"] for request in self.posted]

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.on_pause(seconds)

    def _ask_api(self, request: httpx.Request) -> httpx.Response:
        if self.outages:
            outage = self.outages.pop(0)
            if isinstance(outage, httpx.TransportError):
                raise outage
            return outage
        path = request.url.raw_path.decode()
        # What has nothing to tell would wait for 20 seconds.
        without_wait = re.sub("&wait=20", "", path)
        headers = {name: value for name, value in request.headers.items() if name in ("authorization", "content-type")}
        answer = self._api.request(request.method, without_wait, headers=headers, body=request.content)
        if without_wait != path and answer.status == 200 and not answer.json["events"]:
            raise Done
        return httpx.Response(answer.status, headers=dict(answer.headers), content=answer.body)

    def _take(self, request: httpx.Request) -> httpx.Response:
        assert (request.method, str(request.url)) == ("POST", HOOK)
        self.posted.append(request)
        outcome = self.outcomes.pop(0) if self.outcomes else 204
        if isinstance(outcome, httpx.TransportError):
            raise outcome
        return httpx.Response(outcome)


@pytest.fixture
def desk(api: Api, world: World, anna: Session) -> Desk:
    made = Desk(api, world)
    made.feed.use(anna.token)
    return made


@pytest.fixture
def three(world: World) -> list[str]:
    """Ids of three events, of two types."""
    kinds = (EventType.FILE_CREATED, EventType.FILE_COMPLETED, EventType.FILE_CREATED)
    organization_id = world.organizations["Acme"].organization_id
    for number, kind in enumerate(kinds):
        event = Event(
            organization_id=organization_id,
            type=kind,
            target=Target("file", str(number)),
            occasion="1",
            data={"filename": "größe 漢.txt"},
        )
        world.stores.outbox.put(event)
    return [event["id"] for event in world.events()]


def test_each_is_posted_once_in_its_order_and_as_a_webhook_is(desk: Desk, three: list[str], world: World) -> None:
    with stopped_clock():
        desk.follow()
        now = int(time.time())
    assert desk.ids == three
    feed = world.stores.feed.before(world.organizations["Acme"].organization_id, None)
    for request, event in zip(desk.posted[::-1], feed, strict=True):
        assert request.content == payload_of(event)
        assert sign([SECRET], event.to_json()["id"], now, request.content).items() <= dict(request.headers).items()
        assert request.headers["content-type"] == "application/json"
    assert (desk.pauses, desk.complaints) == ([], [])


def test_address_and_program_of_the_actor_stay_out(desk: Desk, api: Api, anna: Session) -> None:
    api.upload(anna, headers={"User-Agent": "curl/8.5.0"})
    desk.follow()
    (actor,) = {request.content for request in desk.posted if b'"file.created"' in request.content}
    assert list(json.loads(actor)["actor"]) == ["type", "id", "name"]


@pytest.mark.parametrize("outcome", [500, 404, 302, 410, httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
def test_refused_event_is_sent_again_before_the_next(desk: Desk, three: list[str], outcome: Outcome) -> None:
    desk.outcomes = [204, outcome, outcome]
    desk.follow()
    assert desk.ids == [three[0], three[1], three[1], three[1], three[2]]
    assert len({request.content for request in desk.posted[1:4]}) == 1
    assert desk.pauses == [1, 2]


def test_position_is_that_of_the_last_accepted_event(desk: Desk, three: list[str]) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    desk.outcomes, desk.on_pause = [204, 204, 500], interrupt
    listener = desk.listener()
    with pytest.raises(KeyboardInterrupt):
        listener.follow(0)
    assert listener.after == 2


def test_position_goes_beyond_what_is_not_asked_for(desk: Desk, three: list[str]) -> None:
    listener = desk.listener("file.completed")
    with pytest.raises(Done):
        listener.follow(0)
    assert (desk.ids, listener.after) == ([three[1]], 3)


def test_each_attempt_is_signed_with_its_own_time(desk: Desk, three: list[str]) -> None:
    desk.outcomes = [500]
    with stopped_clock() as clock:
        desk.on_pause = clock.shift
        desk.follow(after=2)
    first, second = (int(request.headers["webhook-timestamp"]) for request in desk.posted)
    assert second == first + 1


def test_pauses_grow_to_half_a_minute(desk: Desk, three: list[str]) -> None:
    desk.outcomes = [500] * 8
    desk.follow(after=2)
    assert desk.pauses == [1, 2, 4, 8, 16, 30, 30, 30]


def test_a_line_tells_what_came_of_each_attempt(desk: Desk, three: list[str]) -> None:
    desk.outcomes = [500, httpx.ConnectError("to 10.0.0.1")]
    desk.follow(after=2)
    shown = [re.sub(r"^\d\d:\d\d:\d\d +|\d+ ms", "", line) for line in desk.said]
    begin = f"file.created      {three[2]}  #3  "
    assert shown == [f"{begin}500    again in 1 s", f"{begin}cannot connect    again in 2 s", f"{begin}204  "]


def test_only_the_types_asked_for_after_a_number(desk: Desk, three: list[str]) -> None:
    desk.follow(types="file.completed")
    desk.follow(after=1, types="file.created")
    assert desk.ids == [three[1], three[2]]


@pytest.mark.parametrize(
    ("outage", "pause"),
    [
        (httpx.ConnectError("refused"), 1),
        (httpx.ReadTimeout("slow"), 1),
        (httpx.Response(502, text="<html>bad gateway</html>"), 1),
        (httpx.Response(503, json={"error": "Later."}), 1),
        (httpx.Response(429, json={"error": "Too many."}, headers={"Retry-After": "17"}), 17),
        (httpx.Response(200, json={"hello": "another server"}), 1),
    ],
)
def test_api_that_is_away_is_asked_again_and_nothing_is_lost(
    desk: Desk, three: list[str], outage: httpx.Response | httpx.TransportError, pause: int
) -> None:
    desk.outages = [outage]
    desk.follow()
    assert desk.ids == three
    assert desk.pauses == [pause]
    assert desk.complaints[0].endswith(f"Again in {pause} s.")


def test_newest_is_the_number_after_which_there_is_nothing(desk: Desk, three: list[str]) -> None:
    assert desk.feed.newest_sequence(None) == desk.feed.newest_sequence("file.completed") == 3
    desk.follow(after=desk.feed.newest_sequence(None))
    assert desk.posted == []


def test_where_nothing_has_happened_newest_is_zero(desk: Desk) -> None:
    assert desk.feed.newest_sequence(None) == 0


@pytest.mark.parametrize("types", ["file.eaten", "webhook"])
def test_wrong_type_is_refused_with_the_apis_sentence(desk: Desk, types: str) -> None:
    with pytest.raises(FeedRefused, match="There is no type of event"):
        desk.feed.newest_sequence(types)


def test_key_that_may_not_read_is_refused(desk: Desk, api: Api, anna: Session) -> None:
    desk.feed.use(make_key(api, anna, [Scope.FILES_WRITE]).token)
    with pytest.raises(FeedRefused):
        desk.feed.newest_sequence(None)


def test_key_that_is_revoked_meanwhile_ends_it(desk: Desk, api: Api, anna: Session, three: list[str]) -> None:
    key = make_key(api, anna, [Scope.FILES_READ])
    desk.feed.use(key.token)
    desk.outcomes = [500]
    # The feed has been read by then; the next page is what is refused.
    desk.on_pause = lambda seconds: api.post("/api-keys/revoke", json_body={"key": key.token})
    with pytest.raises(FeedRefused):
        desk.listener().follow(0)
    assert desk.ids == [three[0], *three]


def test_password_opens_the_feed(desk: Desk, anna: Session, three: list[str]) -> None:
    desk.feed.use("nothing")
    assert desk.feed.log_in(anna.username, anna.password) is None
    assert desk.feed.newest_sequence(None) == 3


def test_wrong_password_is_refused(desk: Desk, anna: Session) -> None:
    with pytest.raises(FeedRefused):
        desk.feed.log_in(anna.username, "wrong")


def test_second_factor_is_asked_for(desk: Desk, api: Api, anna: Session, three: list[str]) -> None:
    with stopped_clock() as clock:
        authenticator = set_up(api, anna)
        clock.shift(30)
        desk.feed.use("nothing")
        asked = desk.feed.log_in(anna.username, anna.password)
        assert asked is not None
        desk.feed.complete_log_in(asked, authenticator.code())
        assert desk.feed.newest_sequence(None) >= 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--forward", "3000"], "--forward takes an address"),
        (["--forward", "ftp://127.0.0.1/"], "--forward takes an address"),
        (["--forward", "http://[::1"], "--forward takes an address"),
        (["--forward", HOOK, "--base-url", "api"], "--base-url takes an address"),
        (["--forward", HOOK, "--secret", "whsec_c2hvcnQ="], "base64 of 24 to 64 bytes"),
        (["--forward", HOOK, "--password-stdin"], "needs --username"),
        (["--forward", HOOK, "--after", "-1"], "-1"),
        ([], "--forward"),
    ],
)
def test_usage_that_makes_no_sense_is_told(operator: Operator, arguments: list[str], sentence: str) -> None:
    assert sentence in operator.refused("listen", *arguments, exit_code=2)
