"""`make smoke`: walks through the API of a running stack, shows each step and its answer, stops at the first wrong."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from typing import Any

import httpx

PATIENCE_SECONDS = 60.0
CONTENT = b"Strongroom smoke test\n" * 1000


class Wrong(Exception):
    """An answer that is not what the contract says."""


class Walk:
    def __init__(self, base_url: str) -> None:
        self._client = httpx.Client(base_url=base_url.rstrip("/") + "/", timeout=30)
        self._token = ""

    def step(self, name: str, method: str, path: str, status: int, **options: Any) -> httpx.Response:
        """:raises Wrong: another status than the one expected."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            response = self._client.request(method, path.lstrip("/"), headers=headers, **options)
        except httpx.TransportError as error:
            raise Wrong(
                f"{name}: no answer from {self._client.base_url} ({error}). Is it running? Try: make up"
            ) from None
        shown = response.text if len(response.text) < 600 else response.text[:600] + " ..."
        print(f"{name:<28} {method} {path} -> {response.status_code}\n    {shown or '(no body)'}")
        if response.status_code != status:
            raise Wrong(f"{name}: expected {status}, got {response.status_code}.")
        return response

    def keep_token(self, response: httpx.Response) -> None:
        cookie = response.headers.get("set-cookie", "")
        self._token = cookie.partition("=")[2].partition(";")[0]
        if not self._token:
            raise Wrong("Log in: the answer sets no session cookie.")


def require(name: str, found: Any, wanted: Any) -> None:
    if found != wanted:
        raise Wrong(f"{name}: expected {wanted!r}, got {found!r}.")


def walk(base_url: str, username: str, password: str) -> None:
    """:raises Wrong: at the first answer that is not right."""
    w = Walk(base_url)
    w.step("Not signed in is refused", "GET", "/auth/me", 401)
    login = w.step("Log in", "POST", "/auth/login", 200, json={"username": username, "password": password})
    w.keep_token(login)
    me = w.step("Who am I", "GET", "/auth/me", 200).json()
    require("Who am I", me["user"]["username"], username)
    form = {"file": ("smoke test.txt", CONTENT, "text/plain")}
    uploaded = w.step("Upload a file", "POST", "/files", 201, files=form).json()
    require("Upload a file", uploaded["status"], "pending")
    path = f"/files/{uploaded['id']}"
    deadline = time.monotonic() + PATIENCE_SECONDS
    details = w.step("Details", "GET", path, 200).json()
    while details["status"] in ("pending", "processing"):
        if time.monotonic() > deadline:
            raise Wrong(f"The file was not processed within {PATIENCE_SECONDS:.0f} s; it is still {details['status']}.")
        time.sleep(0.5)
        details = w.step("Details, until processed", "GET", path, 200).json()
    require("Status", details["status"], "completed")
    require("SHA-256", details["sha256_hash"], hashlib.sha256(CONTENT).hexdigest())
    require("MIME type", details["mime_type"], "text/plain")
    listing = w.step("List", "GET", "/files?limit=1", 200).json()
    require("Newest file of the list", listing["files"][0]["id"], uploaded["id"])
    location = w.step("Download", "GET", f"{path}/content", 302).headers["location"]
    require("Downloaded bytes", httpx.get(location).content, CONTENT)
    w.step("Delete", "DELETE", path, 204)
    w.step("Deleted is gone", "GET", path, 404)
    w.step("Log out", "POST", "/auth/logout", 200)
    w.step("Refused after logout", "GET", "/auth/me", 401)


def main() -> int:
    base_url = os.environ.get("BASE_URL") or "http://127.0.0.1:8000"
    try:
        walk(base_url, os.environ.get("SMOKE_USERNAME", "admin"), os.environ.get("SMOKE_PASSWORD", "password"))
    except (Wrong, KeyError, json.JSONDecodeError) as error:
        print(f"\nWrong: {error}", file=sys.stderr)
        return 1
    print("\nAll is as it should be.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
