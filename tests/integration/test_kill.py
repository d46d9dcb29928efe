"""`make up` killed without a warning in the middle of a load: what was answered is there after the next start."""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.integration.conftest import await_condition
from tests.integration.test_up import Up, copy_sources

pytestmark = pytest.mark.xdist_group("up")

UPLOADERS = 4
#: Long and short ones: bodies in memory and in files.
SIZES = (10, 10_000, 1_500_000)
ANSWERED_BEFORE_THE_KILL = 60


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    made = Up(tmp_path / "state", copy_sources(tmp_path / "sources"), settings={"RATE_LIMIT_UPLOADS": "100000/minute"})
    yield made
    made.destroy()


class Load:
    """Several users' programs that upload until they are cut off. Notes what was answered 201, and the rest of it."""

    def __init__(self, up: Up) -> None:
        self._up = up
        self._lock = threading.Lock()
        self.answered: dict[str, str] = {}

    def run_until(self, answered: int, then: Callable[[], None]) -> None:
        with ThreadPoolExecutor(UPLOADERS) as pool:
            running = [pool.submit(self._upload_until_cut_off, number) for number in range(UPLOADERS)]
            await_condition(lambda: len(self.answered) >= answered, f"{answered} answers")
            then()
        for one in running:
            one.result()

    def _upload_until_cut_off(self, uploader: int) -> None:
        with contextlib.suppress(httpx.TransportError), self._up.client() as client:
            for number in range(10_000):
                content = f"{uploader} {number}".encode().ljust(SIZES[number % len(SIZES)], b".")
                answer = client.post("/files", files={"file": (f"{uploader}-{number}.txt", content)})
                if answer.status_code != 201:
                    # The emulator may be gone before the API is.
                    return
                with self._lock:
                    self.answered[answer.json()["id"]] = hashlib.sha256(content).hexdigest()


def test_kill_of_everything_in_a_load_loses_nothing_that_was_answered(up: Up) -> None:
    up.start().await_up()
    load = Load(up)
    load.run_until(ANSWERED_BEFORE_THE_KILL, then=up.destroy)
    up.start().await_up()
    with up.client() as client:
        for file_id, sha256 in load.answered.items():
            await_condition(
                lambda file_id=file_id: client.get(f"/files/{file_id}").json().get("status") == "completed",  # type: ignore[misc]
                f"the end of processing {file_id}",
            )
            content = client.get(f"/files/{file_id}/content").content
            assert hashlib.sha256(content).hexdigest() == sha256
        listed = client.get("/files?limit=1").json()
        events = client.get("/events?limit=100").json()
    assert listed["total"] >= len(load.answered)
    assert events
