"""Users who upload without pause against the real thing, remember what was accepted, and hold us to it."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from chalicelib.sweep.sweeping import sweep
from chalicelib.wiring import Stores
from tests.integration.conftest import await_condition

#: A session's user may wait this long for an answer: as long as the gateway does.
CLIENT_TIMEOUT_SECONDS = 29.0
SIZES = (0, 1, 700, 20_000, 300_000)


@dataclass
class User:
    base_url: str
    organization_id: str
    token: str


@dataclass
class Fleet:
    """Some threads, each a user who uploads one file after the other."""

    users: list[User]
    #: Seconds between two uploads of one user.
    pause_seconds: float = 0.1
    accepted: dict[str, tuple[User, str]] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    #: Answers that are no answer of ours: without the contract's error shape.
    strange: list[str] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def uploading(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._upload_until_stopped, args=(user,)) for user in self.users]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join(2 * CLIENT_TIMEOUT_SECONDS)
            self._stopping.clear()

    def _upload_until_stopped(self, user: User) -> None:
        choose = random.Random(user.token)
        headers = {"Authorization": f"Bearer {user.token}"}
        with httpx.Client(base_url=user.base_url, headers=headers, timeout=CLIENT_TIMEOUT_SECONDS) as client:
            while not self._stopping.wait(self.pause_seconds):
                self._upload(user, client, os.urandom(choose.choice(SIZES)))

    def _upload(self, user: User, client: httpx.Client, body: bytes) -> None:
        started = time.monotonic()
        try:
            answer = client.post("/files", files={"file": ("any.bin", body)})
        except httpx.HTTPError as error:
            with self._lock:
                self.answers[type(error).__name__] += 1
            return
        with self._lock:
            self.answers[str(answer.status_code)] += 1
            self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - started)
            if answer.status_code == 201:
                self.accepted[answer.json()["id"]] = (user, self.digest(body))
            elif answer.status_code != 503 or "error" not in answer.json():
                self.strange.append(f"{answer.status_code} {answer.text[:200]}")

    @staticmethod
    def digest(body: bytes) -> str:
        return hashlib.sha256(body).hexdigest()

    def settle(self, stores: Stores, patience_seconds: float) -> list[str]:
        """Wait until all that was accepted is completed, sweeping as the schedule would in a quarter of an hour.

        :returns: what is lost, or not as it was sent.
        """
        deadline = time.monotonic() + patience_seconds
        wrong: list[str] = []
        while time.monotonic() < deadline:
            wrong = [problem for file_id in list(self.accepted) if (problem := self._problem(stores, file_id))]
            if not wrong:
                return []
            time.sleep(0.5)
            sweep(stores, stale_seconds=2)
        return wrong

    def _problem(self, stores: Stores, file_id: str) -> str | None:
        user, sha256 = self.accepted[file_id]
        file = stores.files.find(user.organization_id, file_id)
        if file is None:
            return f"{file_id} is gone"
        if file.status != "completed":
            return f"{file_id} is {file.status}: {file.error_message}"
        return None if file.sha256_hash == sha256 else f"{file_id} has other bytes"


#: What an answer without the states says: while the tables are down, no session can be looked up.
UNRECOGNISED = {"database": "down"}


@dataclass
class HealthWatch:
    """A monitor that asks /health again and again, in a user's session."""

    base_url: str
    token: str
    #: (seconds since the start, seconds to the answer, state of each dependency)
    seen: list[tuple[float, float, dict[str, str]]] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join(60)

    def _watch(self) -> None:
        begun = time.monotonic()
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=self.base_url, headers=headers, timeout=60) as client:
            while not self._stopping.wait(0.2):
                asked = time.monotonic()
                answer = client.get("/health").json()
                self.seen.append((asked - begun, time.monotonic() - asked, answer.get("dependencies", UNRECOGNISED)))

    @property
    def slowest_seconds(self) -> float:
        return max(seconds for _, seconds, _ in self.seen)

    def states(self, dependency: str) -> set[str]:
        return {states.get(dependency, "unknown") for _, _, states in self.seen}

    def last(self, dependency: str) -> str:
        return self.seen[-1][2].get(dependency, "unknown") if self.seen else "unknown"

    def await_all(self, state: str, *dependencies: str) -> None:
        await_condition(
            lambda: all(self.last(dependency) == state for dependency in dependencies), f"{dependencies} {state}"
        )
