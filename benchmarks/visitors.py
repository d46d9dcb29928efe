"""People who upload without pause, in every way there is, and hold the service to what it accepted."""

from __future__ import annotations

import hashlib
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE
CLIENT_TIMEOUT_SECONDS = 60
#: How long what was accepted may take to its end; far beyond any back-off.
SETTLE_PATIENCE_SECONDS = 180
POLL_SECONDS = 0.2
#: (way, bytes, how often in a hundred)
MIX = (
    ("form", 0, 5),
    ("form", KIBIBYTE, 25),
    ("form", 100 * KIBIBYTE, 20),
    ("form", 2 * MEBIBYTE, 10),
    ("form", 20 * MEBIBYTE, 2),
    ("presigned form", KIBIBYTE, 18),
    ("presigned form", 3 * MEBIBYTE, 12),
    ("parts", 18 * MEBIBYTE, 8),
)
BATCH = 4
#: One of so many completed files is downloaded and compared.
DOWNLOADED_SHARE = 0.1


@dataclass
class Upload:
    way: str
    size_bytes: int
    sha256: str
    file_id: str
    accepted_at: float
    #: "completed", "failed", "lost: why"; None while it is under way.
    outcome: str | None = None
    seconds: float = 0.0


@dataclass
class Book:
    """What was sent and what became of it, written by many threads."""

    uploads: list[Upload] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    #: Answers that are never right: 5xx, refusals, wrong bytes.
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, what: str, answer: httpx.Response) -> None:
        with self.lock:
            self.answers[f"{what} {answer.status_code}"] += 1
            if answer.status_code >= 400:
                self.wrong.append(f"{what}: {answer.status_code} {answer.text[:200]}")


class Visitor(threading.Thread):
    """A user: sends a few files, waits for them, compares, deletes, and begins again until told to stop."""

    def __init__(self, base_url: str, token: str, book: Book, stopping: threading.Event) -> None:
        super().__init__(daemon=True)
        self._api = httpx.Client(
            base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=CLIENT_TIMEOUT_SECONDS
        )
        self._storage = httpx.Client(timeout=CLIENT_TIMEOUT_SECONDS)
        self._book = book
        self._stopping = stopping
        self._choose = random.Random(token)

    def run(self) -> None:
        weights = [weight for _, _, weight in MIX]
        with self._api, self._storage:
            while not self._stopping.is_set():
                batch = [self._send(way, size) for way, size, _ in self._choose.choices(MIX, weights, k=BATCH)]
                for upload in filter(None, batch):
                    self._see_through(upload)

    def _ask(self, what: str, method: str, path: str, **options: Any) -> httpx.Response | None:
        try:
            answer = self._api.request(method, path, **options)
        except httpx.HTTPError as error:
            with self._book.lock:
                self._book.wrong.append(f"{what}: {type(error).__name__}")
            return None
        self._book.note(what, answer)
        return answer

    def _send(self, way: str, size_bytes: int) -> Upload | None:
        body = os.urandom(size_bytes)
        sha256 = hashlib.sha256(body).hexdigest()
        if way == "form":
            answer = self._ask("POST form", "POST", "/files", files={"file": ("any.bin", body)})
        else:
            answer = self._ask("POST start", "POST", "/files", json={"filename": "any.bin", "size": size_bytes})
        if answer is None or answer.status_code != 201:
            return None
        record = answer.json()
        if way != "form" and not self._send_straight(record["upload"], body):
            return None
        upload = Upload(way, size_bytes, sha256, record["id"], time.time())
        with self._book.lock:
            self._book.uploads.append(upload)
        return upload

    def _send_straight(self, how: dict[str, Any], body: bytes) -> bool:
        if how["method"] == "POST":
            sent = self._storage.post(how["url"], data=how["fields"], files={"file": body})
            self._book.note("storage POST", sent)
            return sent.is_success
        for number in range(1, how["part_count"] + 1):
            signed = self._ask("POST parts", "POST", how["parts"], json={"part_numbers": [number]})
            if signed is None or not signed.is_success:
                return False
            piece = body[(number - 1) * how["part_size"] : number * how["part_size"]]
            sent = self._storage.put(signed.json()["parts"][0]["url"], content=piece)
            self._book.note("storage PUT", sent)
            if not sent.is_success:
                return False
        done = self._ask("POST complete", "POST", how["complete"])
        return done is not None and done.is_success

    def _see_through(self, upload: Upload) -> None:
        deadline = time.monotonic() + SETTLE_PATIENCE_SECONDS
        path = f"/files/{upload.file_id}"
        while time.monotonic() < deadline:
            answer = self._ask("GET details", "GET", path)
            if answer is not None and answer.status_code == 404:
                upload.outcome = "lost: gone"
                return
            details = answer.json() if answer is not None and answer.is_success else {"status": None}
            if details["status"] in ("completed", "failed"):
                self._judge(upload, details)
                self._ask("DELETE", "DELETE", path)
                return
            time.sleep(POLL_SECONDS)
        upload.outcome = f"lost: still {details['status']}"

    def _judge(self, upload: Upload, details: dict[str, Any]) -> None:
        if details["status"] == "failed":
            upload.outcome = "failed"
            return
        if (details["sha256_hash"], details["file_size"]) != (upload.sha256, upload.size_bytes):
            upload.outcome = "lost: other bytes"
            return
        upload.seconds = max(0.0, datetime.fromisoformat(details["processed_at"]).timestamp() - upload.accepted_at)
        upload.outcome = "completed"
        if self._choose.random() < DOWNLOADED_SHARE:
            found = self._ask("GET content", "GET", f"/files/{upload.file_id}/content")
            if found is not None and found.status_code == 302:
                content = self._storage.get(found.headers["location"]).content
                if hashlib.sha256(content).hexdigest() != upload.sha256:
                    upload.outcome = "lost: other bytes downloaded"
