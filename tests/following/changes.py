"""Members who change an organisation's files without pause: upload, rename, download, delete."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import httpx

#: Between two changes of one member.
PAUSE_SECONDS: Final = 0.1
TIMEOUT_SECONDS: Final = 60
#: Above it a member rather deletes than uploads, so that the list stays one that can be compared again and again.
MAX_KNOWN_FILES: Final = 30


@dataclass
class Done:
    """What members have done, written by all of them.

    :param sent: ids of files whose bytes were accepted; each has to be completed or failed in the end.
    :param answers: how often which change was answered with what; "-" for a connection that broke.
    :param wrong: answers that are never right.
    """

    sent: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, answer: httpx.Response | None) -> None:
        status = answer.status_code if answer is not None else "-"
        with self.lock:
            self.answers[f"{what} {status}"] += 1
            # 503 says that something is away, which a busy machine can be.
            if answer is not None and answer.status_code >= 500 and answer.status_code != 503:
                self.wrong.append(f"{what}: {answer.status_code} {answer.text[:200]}")


class Member:
    """Goes on whether an answer came or not: what counts is what the API shows in the end."""

    def __init__(self, base_url: str, token: str, done: Done, seed: int, pause_seconds: float) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        headers = {"Authorization": f"Bearer {token}"}
        self._api = httpx.Client(base_url=base_url, headers=headers, timeout=TIMEOUT_SECONDS)
        self._done = done
        self._random = random.Random(seed)
        self._pause_seconds = pause_seconds
        self._stopping = threading.Event()
        self._known: list[str] = []
        self._made = 0
        self._seed = seed

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """And wait for the end of the change that is being made."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        ways: dict[Callable[[], None], int] = {self._upload: 40, self._rename: 25, self._download: 10, self._delete: 25}
        with self._api:
            while not self._stopping.wait(self._pause_seconds):
                if not self._known:
                    self._upload()
                elif len(self._known) > MAX_KNOWN_FILES:
                    self._delete()
                else:
                    self._random.choices(list(ways), list(ways.values()))[0]()

    def _upload(self) -> None:
        self._made += 1
        name, content = f"{self._seed}-{self._made}.txt", self._random.randbytes(self._random.choice((0, 10, 5_000)))
        answer = self._ask("upload", "POST", "/files", files={"file": (name, content, "text/plain")})
        if answer is not None and answer.status_code == 201:
            file_id = str(answer.json()["id"])
            self._known.append(file_id)
            with self._done.lock:
                self._done.sent.add(file_id)

    def _rename(self) -> None:
        self._made += 1
        name = f"{self._seed}-renamed-{self._made}.txt"
        self._ask("rename", "PATCH", f"/files/{self._random.choice(self._known)}", json={"filename": name})

    def _download(self) -> None:
        self._ask("download", "GET", f"/files/{self._random.choice(self._known)}/content")

    def _delete(self) -> None:
        file_id = self._random.choice(self._known)
        answer = self._ask("delete", "DELETE", f"/files/{file_id}")
        if answer is not None and answer.status_code in (204, 404):
            self._known.remove(file_id)

    def _ask(self, what: str, method: str, path: str, **options: object) -> httpx.Response | None:
        try:
            answer = self._api.request(method, path, **options)  # type: ignore[arg-type]
        except httpx.TransportError:
            # The API was killed; whether it had done it, nobody knows.
            answer = None
        self._done.note(what, answer)
        return answer
