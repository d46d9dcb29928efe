"""What one member can hold, keep after being disabled, or take from another, on the deployed stack."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from chalicelib.accounts import users as accounts

from .stack import DeployedStack, Member

SHARE_PERCENT = 50
PASSWORD = "a long password of a colleague"


@pytest.fixture(scope="module")
def starter(stack: DeployedStack) -> Member:
    return stack.sign_up("Holder")


@pytest.fixture(scope="module")
def colleague(stack: DeployedStack, starter: Member) -> Member:
    accounts.create_user(stack.stores(), starter.organization_id, "holder-colleague", PASSWORD)
    token = stack.sign_in("holder-colleague", PASSWORD)
    return Member(starter.organization_id, "holder-colleague", PASSWORD, token)


def start(stack: DeployedStack, member: Member, size: int) -> httpx.Response:
    return stack.api.post("/files", headers=member.headers, json={"filename": "held.bin", "size": size})


def send(upload: dict[str, Any], body: bytes) -> httpx.Response:
    return httpx.post(upload["url"], data=upload["fields"], files={"file": ("held.bin", body)})


def test_one_member_cannot_reserve_the_whole_quota(stack: DeployedStack, starter: Member, colleague: Member) -> None:
    quota = stack.api.get("/usage", headers=starter.headers).json()["bytes"]["quota"]
    refused = start(stack, starter, quota * (SHARE_PERCENT + 1) // 100)
    assert refused.status_code == 409, refused.text
    half = start(stack, starter, quota * (SHARE_PERCENT - 1) // 100)
    assert half.status_code == 201, half.text
    assert start(stack, starter, quota * 2 // 100).status_code == 409, "with the first one it is more than the share"
    assert start(stack, colleague, quota * 2 // 100).status_code == 201, "the others have room"
    assert stack.api.delete(f"/files/{half.json()['id']}", headers=starter.headers).status_code == 204
    assert start(stack, starter, quota * 2 // 100).status_code == 201


def test_only_the_starter_gives_up_an_open_upload(stack: DeployedStack, starter: Member, colleague: Member) -> None:
    started = start(stack, starter, 1000).json()
    refused = stack.api.delete(f"/files/{started['id']}", headers=colleague.headers)
    assert (refused.status_code, starter.username in refused.json()["error"]) == (403, True)
    assert stack.api.delete(f"/files/{started['id']}", headers=starter.headers).status_code == 204


def test_disabled_user_writes_nothing_with_a_form_signed_before(stack: DeployedStack, colleague: Member) -> None:
    accounts.create_user(stack.stores(), colleague.organization_id, "holder-leaver", PASSWORD)
    leaver = Member(colleague.organization_id, "holder-leaver", PASSWORD, stack.sign_in("holder-leaver", PASSWORD))
    started = start(stack, leaver, 9).json()
    accounts.set_disabled(stack.stores(), "holder-leaver", True)
    assert start(stack, leaver, 9).status_code == 401
    ended = stack.details(colleague, started["id"])
    assert ended["status"] == "failed"
    # Storage still takes what was signed; processing deletes it.
    assert send(started["upload"], b"too late!").status_code in (200, 201, 204)
    temp = stack.outputs["TempBucket"]
    s3 = stack.session.client("s3")
    key = f"{colleague.organization_id}/{started['id']}"
    stack.wait_until(lambda: "Contents" not in s3.list_objects_v2(Bucket=temp, Prefix=key))
    assert stack.details(colleague, started["id"])["status"] == "failed"
    permanent = stack.outputs["PermanentBucket"]
    assert "Contents" not in s3.list_objects_v2(Bucket=permanent, Prefix=key)
