"""A trial: files are changed while API, consumer and receivers are killed and an endpoint lies; in the end all agree.

Followers are the receiver of docs/webhooks.md, the poller of docs/following.md, and the endpoint that lies. What they
have to end with is what the API shows, and nothing else is asked: no time is asserted.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, Final

import httpx

from chalicelib.accounts import users as accounts
from chalicelib.tenants import organizations as tenants
from chalicelib.wiring import Stores
from infra.local.processes import HOST, Child, answers, free_port
from tests.following.changes import Done, Member
from tests.following.endpoint import UnreliableEndpoint
from tests.following.judging import (
    differences,
    events_of,
    files_of,
    handled_wrongly,
    missing_types,
    posted_wrongly,
)
from tests.following.programs import Files, Program, files_of_poller, files_of_receiver, handled_by_receiver
from tests.following.stack import Stack
from tests.integration.conftest import PASSWORD, Machine, await_condition
from tests.receiver import receiver

Say = Callable[[str], None]
CONTENT: Final = b"hello, world\n"
POLL_SECONDS: Final = 0.5


@dataclass
class Findings:
    """:param wrong: what must not be so; empty when all agree."""

    wrong: list[str]
    events: int = 0
    types: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    #: How often the unreliable endpoint did what.
    behaved: Counter[str] = field(default_factory=Counter)
    #: Posts beyond the first that was accepted, of all events.
    repeated: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    #: How the webhooks stand at the end, a sentence each.
    webhooks: list[str] = field(default_factory=list)


class Trial:
    """
    :param stores: of the machine; whoever makes them has its environment.
    :param seed: of what members, killer and endpoint choose; the machine's own timing is as it is.
    :param pause_seconds: between two changes of one of the two members.
    """

    def __init__(self, machine: Machine, stores: Stores, folder: Path, seed: int, pause_seconds: float = 0.1) -> None:
        self._machine = machine
        self._stores = stores
        self._folder = folder
        self._random = random.Random(seed)
        self._stack = Stack(machine)
        self._done = Done()
        self._kills: Counter[str] = Counter()
        self._children: dict[str, Child] = {}
        self._seed = seed
        self._pause_seconds = pause_seconds
        self._s3 = machine.client("s3")
        #: A file whose bytes are gone.
        self._broken: str | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Stack, followers and members are at work until the end of the block."""
        with ExitStack() as ending:
            ending.callback(self._stack.stop)
            self._stack.start_api()
            self._stack.start_consumer()
            self._api = ending.enter_context(self._signed_in())
            received = ending.enter_context(receiver())
            self._endpoint = UnreliableEndpoint(received, self._seed)
            # Before all others, so that the poller begins with a list.
            self._upload("before.txt")
            self._add_followers(received.url())
            ending.callback(self._stop_followers)
            self._members = [
                Member(self._stack.base_url, self._token, self._done, self._seed + number, self._pause_seconds)
                for number in (1, 2)
            ]
            for member in self._members:
                member.start()
            ending.callback(self._stop_members)
            yield

    # ---- set-up --------------------------------------------------------------------------------------------------
    @contextmanager
    def _signed_in(self) -> Iterator[httpx.Client]:
        """As the owner, who may see everything."""
        organization = tenants.create_organization(self._stores, "Followed", quota_files=100_000)
        self._organization_id = organization.organization_id
        accounts.create_user(self._stores, self._organization_id, "follower-owner", PASSWORD)
        with httpx.Client(base_url=self._stack.base_url, timeout=60) as client:
            credentials = {"username": "follower-owner", "password": PASSWORD, "token": True}
            self._token = _checked(client.post("/auth/login", json=credentials), 200)["token"]
            client.headers["Authorization"] = f"Bearer {self._token}"
            yield client

    def _add_followers(self, url_of_unreliable: str) -> None:
        made = self._new_webhook(url_of_unreliable)
        self._endpoint.secret = made["secret"]
        self._unreliable_begins_after = made["position"]
        self._receiver_port = free_port()
        made = self._new_webhook(f"http://{HOST}:{self._receiver_port}/hook")
        self._receiver_begins_after = made["position"]
        key = _checked(self._api.post("/api-keys", json={"name": "poller", "scopes": ["files:read"]}), 201)["key"]
        of_receiver = {"WEBHOOK_SECRET": made["secret"], "PORT": str(self._receiver_port)}
        of_poller = {"BASE_URL": self._stack.base_url, "STRONGROOM_API_KEY": key}
        self._programs = {
            "receiver": Program("webhooks.md", self._folder / "receiver", of_receiver),
            "poller": Program("following.md", self._folder / "poller", of_poller),
        }
        for name in self._programs:
            self._start_follower(name)

    def _new_webhook(self, url: str) -> dict[str, Any]:
        return _checked(self._api.post("/webhooks", json={"url": url}), 201)

    def _start_follower(self, name: str) -> None:
        self._children[name] = self._programs[name].start()
        if name == "receiver":
            await_condition(lambda: answers(self._receiver_port), "the receiver listening")

    def _stop_followers(self) -> None:
        for child in self._children.values():
            child.stop()

    def _stop_members(self) -> None:
        for member in self._members:
            member.stop()

    # ---- disturbing ----------------------------------------------------------------------------------------------
    def disturb(self, seconds: float, between_seconds: tuple[float, float], say: Say = print) -> None:
        """Kill one process after the other until the time is over, each twice at least, and let the endpoint lie in
        every way there is.

        :param between_seconds: from .. to, how long all is left alone after each kill.
        :param say: is told of each round of kills.
        """
        ways: dict[str, Callable[[], None]] = {
            "consumer": self._kill_consumer,
            "receiver": partial(self._kill_follower, "receiver"),
            "api": self._kill_api,
            "poller": partial(self._kill_follower, "poller"),
        }
        began = time.monotonic()
        until = began + seconds
        for name in cycle(ways):
            if time.monotonic() >= until and min(self._kills[way] for way in ways) >= 2:
                break
            ways[name]()
            self._kills[name] += 1
            if name == "poller":
                say(f"{time.monotonic() - began:6.0f} s  {self._progress()}")
            time.sleep(self._random.uniform(*between_seconds))
        await_condition(self._endpoint.has_tried_all, "every way of lying")

    def _progress(self) -> str:
        changes = sum(self._done.answers.values())
        posts, accepted = sum(got.times for got in [*self._endpoint.got.values()]), len(self._endpoint.got)
        return f"{changes} changes asked for, {self._kills.total()} kills, {accepted} events in {posts} posts"

    def _kill_api(self) -> None:
        self._stack.kill("api")
        self._stack.start_api()

    def _kill_follower(self, name: str) -> None:
        child = self._children[name]
        assert child.exit_code is None, f"{name} has ended by itself: {self._programs[name].said[-20:]}"
        child.kill()
        self._start_follower(name)

    def _kill_consumer(self) -> None:
        """While it is dead a file loses its bytes; at the next time they are put back, and the file is retried."""
        broken = self._broken
        if broken is not None:
            await_condition(lambda: self._status(broken) == "failed", "the failure of a file without bytes")
        self._stack.kill("consumer")
        if broken is None:
            self._broken = self._upload("broken.txt")
            self._s3.delete_object(**self._temp_object(self._broken))
        else:
            self._broken = None
            self._s3.put_object(**self._temp_object(broken), Body=CONTENT)
            _checked(self._api.post(f"/files/{broken}/retry"), 202)
        self._stack.start_consumer()

    def _temp_object(self, file_id: str) -> dict[str, str]:
        return {"Bucket": self._machine.environment["TEMP_BUCKET"], "Key": f"{self._organization_id}/{file_id}"}

    def _upload(self, name: str) -> str:
        answer = self._api.post("/files", files={"file": (name, CONTENT, "text/plain")})
        file_id = str(_checked(answer, 201)["id"])
        self._done.sent.add(file_id)
        return file_id

    def _status(self, file_id: str) -> str:
        return str(_checked(self._api.get(f"/files/{file_id}"), 200)["status"])

    # ---- the end -------------------------------------------------------------------------------------------------
    def settle(self, patience_seconds: float) -> Findings:
        """End the changes and the lies, wait until all agree, and judge.

        :param patience_seconds: after it, what does not agree is what is wrong.
        """
        self._stop_members()
        self._endpoint.become_honest()
        until = time.monotonic() + patience_seconds
        while (wrong := self._differences()) and time.monotonic() < until:
            time.sleep(POLL_SECONDS)
        events = events_of(self._api)
        return Findings(
            wrong=[*wrong, *self._done.wrong, *self._endpoint.wrong, *missing_types(events)],
            events=len(events),
            types=Counter(event["type"] for event in events),
            kills=self._kills,
            behaved=self._endpoint.behaved,
            repeated=sum(got.times - 1 for got in self._endpoint.got.values()),
            answers=self._done.answers,
            webhooks=[self._standing_of(webhook) for webhook in self._api.get("/webhooks").json()["webhooks"]],
        )

    def _standing_of(self, webhook: dict[str, Any]) -> str:
        shown = {name: webhook[name] for name in ("enabled", "disabled_reason", "failing_since", "position")}
        last = self._api.get(f"/webhooks/{webhook['id']}/deliveries?limit=1").json()["deliveries"]
        return f"{webhook['url']}: {shown}, last delivery: {last}"

    def _differences(self) -> list[str]:
        """What would be wrong if this were the end."""
        events, files = events_of(self._api), files_of(self._api)
        unsettled = [
            f"{file_id} is still {status}"
            for file_id, (_, status) in files.items()
            if file_id in self._done.sent and status not in ("completed", "failed")
        ]
        receiver_folder, poller_folder = self._programs["receiver"].folder, self._programs["poller"].folder
        return [
            *unsettled,
            *differences("the poller", files_of_poller(poller_folder), files),
            # It knows only of what has changed since there is a webhook: all but the very first file, if that stayed.
            *differences("the receiver", files_of_receiver(receiver_folder), self._changed(files, events)),
            *handled_wrongly(handled_by_receiver(receiver_folder), events, self._receiver_begins_after),
            *posted_wrongly(self._endpoint.got, events, self._unreliable_begins_after),
        ]

    def _changed(self, files: Files, events: list[dict[str, Any]]) -> Files:
        told = {event["target"]["id"] for event in events if event["sequence"] > self._receiver_begins_after}
        return {file_id: file for file_id, file in files.items() if file_id in told}


def _checked(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    body: dict[str, Any] = answer.json()
    return body
