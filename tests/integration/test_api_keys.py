"""API keys on the real emulator, where requests and changes of a key meet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from chalicelib.api_keys.logic import MAX_KEYS
from tests.integration.conftest import Running, Tenant


def make(tenant: Tenant, *scopes: str) -> dict[str, Any]:
    answer = tenant.client.post("/api-keys", json={"name": "robot", "scopes": scopes})
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


def program(running: Running, text: str) -> httpx.Client:
    return httpx.Client(base_url=running.base_url, headers={"Authorization": f"Bearer {text}"}, timeout=60)


def while_used(client: httpx.Client, act: Callable[[], Any]) -> tuple[Any, list[int]]:
    """What ``act`` gives, and how the requests were answered that were sent all the while."""
    done, statuses = threading.Event(), []

    def use() -> None:
        while not done.is_set():
            statuses.append(client.get("/auth/me").status_code)

    with ThreadPoolExecutor(2) as pool:
        users = [pool.submit(use) for _ in range(2)]
        try:
            result = act()
        finally:
            done.set()
        for user in users:
            user.result()
    return result, statuses


def test_rotation_refuses_no_request_that_is_under_way(tenant: Tenant, running: Running) -> None:
    key = make(tenant, "files:read")

    def rotate() -> str:
        answer = tenant.client.post(f"/api-keys/{key['id']}/rotate", json={"old_secret_seconds": 600})
        assert answer.status_code == 200, answer.text
        return str(answer.json()["key"])

    with program(running, key["key"]) as client:
        renewed, statuses = while_used(client, rotate)
        assert set(statuses) == {200}
    with program(running, renewed) as client:
        assert client.get("/auth/me").status_code == 200


def test_of_rotations_at_the_same_moment_one_secret_lives(tenant: Tenant, running: Running) -> None:
    """Of those who rotate without a time for the old secret, who was answered last has the one that lives."""
    key = make(tenant, "files:read")

    def rotate(_: int) -> httpx.Response:
        return tenant.client.post(f"/api-keys/{key['id']}/rotate", json={"old_secret_seconds": 0})

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(rotate, range(4)))
    assert {answer.status_code for answer in answers} <= {200, 409}
    given = [answer.json()["key"] for answer in answers if answer.status_code == 200]
    assert given
    alive = [text for text in given if _works(running, text)]
    assert len(alive) == 1
    assert not _works(running, key["key"])


def test_revoked_key_starts_nothing_more_however_many_are_starting(tenant: Tenant, running: Running) -> None:
    key = make(tenant, "files:write")
    with program(running, key["key"]) as client, ThreadPoolExecutor(6) as pool:
        starts = [pool.submit(client.post, "/files", json={"filename": "a", "size": 5}) for _ in range(8)]
        revoked = pool.submit(tenant.client.post, "/api-keys/revoke", json={"key": key["key"]})
        assert revoked.result().status_code == 204
        assert {start.result().status_code for start in starts} <= {201, 401}
        assert client.post("/files", json={"filename": "a", "size": 5}).status_code == 401
    files = tenant.client.get("/files?limit=100").json()["files"]
    assert [file["status"] for file in files if file["status"] != "failed"] == []
    assert tenant.client.get("/usage").json()["bytes"]["used"] == 0


def test_no_more_keys_than_allowed_however_many_ask(tenant: Tenant) -> None:
    for _ in range(MAX_KEYS - 3):
        make(tenant, "files:read")

    def ask(_: int) -> int:
        return tenant.client.post("/api-keys", json={"name": "robot", "scopes": ["files:read"]}).status_code

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(ask, range(10)))
    assert set(statuses) <= {201, 409}
    assert statuses.count(201) <= 3
    assert len(tenant.client.get("/api-keys").json()["api_keys"]) == MAX_KEYS - 3 + statuses.count(201)


def _works(running: Running, text: str) -> bool:
    with program(running, text) as client:
        return client.get("/auth/me").status_code == 200
