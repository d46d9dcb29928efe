"""What the drill does as a client of a deployed API: sign in, upload, ask for what it may not have. Knows HTTP only."""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

MEBIBYTE = 1024 * 1024
#: As Uppy cuts a file of up to 50 GB. An address is signed for a part of just that length.
PART_BYTES = 5 * MEBIBYTE
PARALLEL_PARTS = 4
#: Of a file: 1 GiB is hashed at some 60 MB/s.
PROCESSING_SECONDS = 600.0
REQUEST_SECONDS = 60.0
PART_SECONDS = 300.0


class NotAsPromised(Exception):
    """An answer that is not what the contract says."""


@dataclass
class Traffic:
    """What was sent, for the estimate of the cost."""

    api_requests: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0


@dataclass
class Client:
    """One user of the deployed API."""

    url: str
    traffic: Traffic
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self._http = httpx.Client(base_url=self.url.rstrip("/") + "/", timeout=REQUEST_SECONDS)

    def sign_in(self, username: str, password: str) -> None:
        answer = self.ask("POST", "/auth/login", 200, json={"username": username, "password": password, "token": True})
        self.token = answer.json()["token"]

    def ask(self, method: str, path: str, status: int | None, **options: Any) -> httpx.Response:
        """:raises NotAsPromised: another status than the one expected."""
        self.traffic.api_requests += 1
        # The header says who calls. A jar would say it of everyone.
        self._http.cookies.clear()
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        answer = self._http.request(
            method, path.lstrip("/"), headers={**headers, **options.pop("headers", {})}, **options
        )
        if status is not None and answer.status_code != status:
            raise NotAsPromised(f"{method} {path} is {answer.status_code}, not {status}: {answer.text[:300]}")
        return answer

    def upload(self, name: str, body: bytes) -> str:
        """By form; its id once it is completed."""
        made: str = self.ask("POST", "/files", 201, files={"file": (name, body)}).json()["id"]
        self.traffic.bytes_sent += len(body)
        self.completed(made, hashlib.sha256(body).hexdigest())
        return made

    def upload_in_parts(self, name: str, size_bytes: int, part_bytes: int = PART_BYTES) -> str:
        """Straight to S3, of bytes that are drawn from the number of their part; its id once it is completed."""
        wanted = {"filename": name, "type": "application/octet-stream", "metadata": {"size": str(size_bytes)}}
        started = self.ask("POST", "/s3/multipart", 200, json=wanted).json()
        path, key = f"/s3/multipart/{started['uploadId']}", {"key": started["key"]}
        digest = hashlib.sha256()
        done: list[dict[str, Any]] = []
        with ThreadPoolExecutor(PARALLEL_PARTS) as pool:
            running = []
            for number, part in enumerate(_parts(size_bytes, part_bytes), start=1):
                digest.update(part)
                running.append(pool.submit(self._send_part, f"{path}/{number}", key, part))
                if len(running) == PARALLEL_PARTS:
                    # No more in memory than are being sent.
                    done.append({"PartNumber": number - PARALLEL_PARTS + 1, "ETag": running.pop(0).result()})
            first = len(done) + 1
            done += [{"PartNumber": first + n, "ETag": sent.result()} for n, sent in enumerate(running)]
        self.traffic.bytes_sent += size_bytes
        self.ask("POST", f"{path}/complete", 200, params=key, json={"parts": done})
        file_id: str = started["key"].rsplit("/", 1)[-1]
        self.completed(file_id, digest.hexdigest())
        return file_id

    def _send_part(self, path: str, key: dict[str, str], part: bytes) -> str:
        address = self.ask("GET", path, 200, params=key).json()["url"]
        sent = httpx.put(address, content=part, timeout=PART_SECONDS)
        if sent.status_code != 200:
            raise NotAsPromised(f"S3 answers {sent.status_code} to a part")
        etag: str = sent.headers["etag"]
        return etag

    def completed(self, file_id: str, sha256: str) -> dict[str, Any]:
        """:raises NotAsPromised: it is not processed in time, has failed, or has another hash."""
        deadline = time.monotonic() + PROCESSING_SECONDS
        pause = 0.3
        while True:
            record: dict[str, Any] = self.ask("GET", f"/files/{file_id}", 200).json()
            if record["status"] == "completed":
                break
            if record["status"] == "failed" or time.monotonic() > deadline:
                raise NotAsPromised(f"{record['filename']} is {record['status']}: {record.get('error_message', '')}")
            time.sleep(pause)
            pause = min(pause * 1.5, 5.0)
        if record["sha256_hash"] != sha256:
            raise NotAsPromised(f"{record['filename']} has the SHA-256 {record['sha256_hash']}, not {sha256}")
        return record

    def download(self, file_id: str) -> bytes:
        """By the address that the API gives."""
        answer = self.ask("GET", f"/files/{file_id}/content", 302)
        body = httpx.get(answer.headers["location"], timeout=PART_SECONDS).content
        self.traffic.bytes_received += len(body)
        return body


def check_error(answer: httpx.Response) -> None:
    """:raises NotAsPromised: it has not the shape of every error."""
    try:
        told = answer.json()
    except ValueError:
        told = {}
    if not told.get("error") or told.get("message") != told["error"] or "request_id" not in told:
        raise NotAsPromised(f"{answer.request.method} {answer.request.url.path}: an error without its shape: {told}")


def routes_with_a_file(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Method and path, of the API's own description, that name a file."""
    for path, methods in document["paths"].items():
        if "{file_id}" in path:
            yield from (
                (method.upper(), path) for method in methods if method in ("get", "post", "patch", "put", "delete")
            )


def filled(path: str, file_id: str) -> str:
    """A path with the file's id, and with 1 for any other place."""
    return re.sub(r"{\w+}", "1", path.replace("{file_id}", file_id))


def _parts(size_bytes: int, part_bytes: int) -> Iterator[bytes]:
    for number, start in enumerate(range(0, size_bytes, part_bytes)):
        yield random.Random(number).randbytes(min(part_bytes, size_bytes - start))
