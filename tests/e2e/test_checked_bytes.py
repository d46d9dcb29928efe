"""A presigned form that is sent again while its file is processed, with bytes of the same MD5."""

from __future__ import annotations

import hashlib

import httpx
import pytest

from tests import collision

from .stack import DeployedStack, Member

ROUNDS = 5


@pytest.fixture(scope="module")
def acme(stack: DeployedStack) -> Member:
    return stack.sign_up("Collider")


@pytest.mark.parametrize("number", range(ROUNDS))
def test_stored_bytes_have_the_hash_of_the_record(stack: DeployedStack, acme: Member, number: int) -> None:
    body, twin = collision.pair(bytes([number]) * 2_000_000)
    started = stack.api.post("/files", headers=acme.headers, json={"filename": "contract.bin", "size": len(body)})
    assert started.status_code == 201, started.text
    upload = started.json()["upload"]
    for content in (body, twin):
        sent = httpx.post(upload["url"], data=upload["fields"], files={"file": ("contract.bin", content)})
        assert sent.status_code in (200, 201, 204), sent.text
    record = stack.wait_for(acme, started.json()["id"], "completed", "failed")
    assert record["status"] == "completed", record
    location = stack.api.get(f"/files/{record['id']}/content", headers=acme.headers).headers["location"]
    assert hashlib.sha256(httpx.get(location).content).hexdigest() == record["sha256_hash"]
