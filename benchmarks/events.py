"""How long a change takes to be an event that can be read, and a completed file to be told to a webhook.

Idle, one upload after the other has been told; then as many a second as were asked for, or as the machine takes. API,
consumer, emulator, uploaders and receivers share it, so at that rate it is the machine that is measured: what it took
is a column. Times of the events are those of the change, before it is written.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from statistics import quantiles
from typing import Any

import httpx

from benchmarks.parts import make_users, running_parts
from benchmarks.table import show
from tests.receiver import OK, Behaviour, receiver

ASKED_PER_SECOND = 20
#: Uploads that are under way at once at the most.
UPLOADERS = 16
CONTENT = b"x" * 1000
PATIENCE_SECONDS = 180


@dataclass
class Times:
    """Milliseconds, each since the change that is told.

    :param published: as the metric ChangeToReadable says, which the consumer writes as on AWS.
    :param read: by a program that waits for it; the API looks once a second.
    :param delivered: of file.completed only, when the receiver had read it.
    """

    published: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    delivered: dict[str, float] = field(default_factory=dict)


class Listeners:
    """The metric, a program that waits, and a receiver; each notes into the present :attr:`times`."""

    def __init__(self) -> None:
        self.times = Times()
        self._stopping = threading.Event()

    def take_line(self, part: str, line: str) -> None:
        """What the consumer says: its metrics are lines of JSON."""
        if '"ChangeToReadable"' in line:
            self.times.published += json.loads(line)["ChangeToReadable"]
        elif '"level":"ERROR"' in line:
            print(f"{part}: {line}")

    def choose(self, head: str, body: bytes) -> Behaviour:
        event = json.loads(body)
        if event["type"] == "file.completed":
            self.times.delivered.setdefault(event["target"]["id"], _milliseconds_since(event["time"]))
        return lambda wire: wire.sendall(OK)

    def follow(self, api: httpx.Client) -> None:
        after = api.get("/events", params={"last": 1}).json()["next_after"]
        while not self._stopping.is_set():
            page = api.get("/events", params={"after": after, "wait": 5}).json()
            self.times.read += [_milliseconds_since(event["time"]) for event in page["events"]]
            after = page["next_after"]

    def stop(self) -> None:
        self._stopping.set()


def measure(*, quick: bool) -> list[dict[str, Any]]:
    from chalicelib.wiring import stores

    listeners = Listeners()
    with running_parts({"LOG_FORMAT": "json"}, listeners.take_line) as (base_url, _), receiver() as endpoint:
        endpoint.choose = listeners.choose
        _, [token] = make_users(stores(), base_url, 1, 1)
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=base_url, headers=headers, timeout=60) as api:
            api.post("/webhooks", json={"url": endpoint.url()}).raise_for_status()
            following = threading.Thread(target=listeners.follow, args=(api,))
            following.start()
            try:
                # Connections are made and code is loaded.
                _idle(api, listeners, 3)
                rows = _phase(listeners, "idle", partial(_idle, api, listeners, 10 if quick else 40))
                at_once = partial(_at_once, api, listeners, 5 if quick else 20)
                rows += _phase(listeners, f"{ASKED_PER_SECOND} a second asked for", at_once)
            finally:
                listeners.stop()
                following.join()
    show(
        ["uploads", "a second", "from a change to", "events", "p50 ms", "p95 ms"], [list(row.values()) for row in rows]
    )
    return rows


def _phase(listeners: Listeners, load: str, run: Callable[[], float]) -> list[dict[str, Any]]:
    listeners.times = times = Times()
    rate = run()
    told = {
        "event published": times.published,
        "event read by a program that waits": times.read,
        "completed file delivered to a webhook": list(times.delivered.values()),
    }
    rows = []
    for what, milliseconds in told.items():
        cuts = quantiles(milliseconds, n=20)
        rows.append(
            {
                "load": load,
                "uploads_per_second": round(rate, 1),
                "to": what,
                "events": len(milliseconds),
                "p50_ms": round(cuts[9]),
                "p95_ms": round(cuts[18]),
            }
        )
    return rows


def _idle(api: httpx.Client, listeners: Listeners, count: int) -> float:
    """:returns: uploads a second."""
    began = time.monotonic()
    for _ in range(count):
        _await_delivery(listeners, {_upload(api)})
        # So that the next one meets an idle stack.
        time.sleep(0.2)
    seconds = time.monotonic() - began
    _await_quiet(listeners)
    return count / seconds


def _at_once(api: httpx.Client, listeners: Listeners, seconds: int) -> float:
    """:returns: uploads a second that were accepted, while as many as asked for were begun."""
    began = time.monotonic()
    count = ASKED_PER_SECOND * seconds

    def upload_at(number: int) -> str:
        time.sleep(max(0.0, began + number / ASKED_PER_SECOND - time.monotonic()))
        return _upload(api)

    with ThreadPoolExecutor(UPLOADERS) as pool:
        file_ids = set(pool.map(upload_at, range(count)))
    accepted_seconds = time.monotonic() - began
    _await_delivery(listeners, file_ids)
    _await_quiet(listeners)
    return count / accepted_seconds


def _upload(api: httpx.Client) -> str:
    answer = api.post("/files", files={"file": ("any.txt", CONTENT)})
    answer.raise_for_status()
    return str(answer.json()["id"])


def _await_delivery(listeners: Listeners, file_ids: set[str]) -> None:
    _await(lambda: file_ids <= listeners.times.delivered.keys())


def _await_quiet(listeners: Listeners) -> None:
    """Each file has two events; what is told of them comes a moment after the delivery."""
    events = 2 * len(listeners.times.delivered)
    _await(lambda: len(listeners.times.read) >= events and len(listeners.times.published) >= events)


def _await(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not every event came within {PATIENCE_SECONDS} s")
        time.sleep(0.01)


def _milliseconds_since(moment: str) -> float:
    return (time.time() - datetime.fromisoformat(moment).timestamp()) * 1000
