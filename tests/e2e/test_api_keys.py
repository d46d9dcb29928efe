"""API keys on the deployed stack, with permissions enforced: from the first request to the last."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .stack import DeployedStack, Member


@pytest.fixture(scope="module")
def owner(stack: DeployedStack) -> Member:
    return stack.sign_up("Keyring")


def make(stack: DeployedStack, owner: Member, *scopes: str, **more: Any) -> dict[str, Any]:
    answer = stack.api.post("/api-keys", headers=owner.headers, json={"name": "robot", "scopes": scopes, **more})
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def listed(stack: DeployedStack, owner: Member) -> dict[str, dict[str, Any]]:
    answer = stack.api.get("/api-keys", headers=owner.headers)
    assert answer.status_code == 200, answer.text
    return {key["id"]: key for key in answer.json()["api_keys"]}


def send(stack: DeployedStack, text: str) -> httpx.Response:
    return stack.api.post("/files", headers=bearer(text), files={"file": ("by-robot.txt", b"from a program\n")})


def test_key_uploads_and_does_nothing_else(stack: DeployedStack, owner: Member) -> None:
    key = make(stack, owner, "files:write")
    sent = send(stack, key["key"])
    assert sent.status_code == 201, sent.text
    file = stack.wait_for(owner, sent.json()["id"], "completed", "failed")
    assert file["status"] == "completed"
    assert file["uploaded_by"] == {"type": "api_key", "id": key["id"], "name": "robot"}
    for method, path in (
        ("GET", "/files"),
        ("GET", "/users"),
        ("DELETE", f"/files/{file['id']}"),
        ("GET", "/api-keys"),
    ):
        assert stack.api.request(method, path, headers=bearer(key["key"])).status_code == 403
    assert stack.api.post("/auth/logout", headers=bearer(key["key"])).status_code == 403
    assert listed(stack, owner)[key["id"]]["last_used_at"] is not None


def test_key_is_narrowed_rotated_revoked_and_deleted(stack: DeployedStack, owner: Member) -> None:
    key = make(stack, owner, "files:read", "files:write")
    path = f"/api-keys/{key['id']}"
    changed = stack.api.patch(path, headers=owner.headers, json={"scopes": ["files:read"]})
    assert changed.status_code == 200, changed.text
    assert send(stack, key["key"]).status_code == 403
    rotated = stack.api.post(f"{path}/rotate", headers=owner.headers, json={"old_secret_seconds": 600})
    assert rotated.status_code == 200, rotated.text
    renewed = rotated.json()["key"]
    assert [stack.api.get("/files", headers=bearer(text)).status_code for text in (key["key"], renewed)] == [200, 200]
    assert stack.api.post("/api-keys/revoke", json={"key": renewed}).status_code == 204
    assert [stack.api.get("/files", headers=bearer(text)).status_code for text in (key["key"], renewed)] == [401, 401]
    assert stack.api.delete(path, headers=owner.headers).status_code == 204
    assert key["id"] not in listed(stack, owner)


def test_ticket_of_a_key_ends_with_it_and_so_do_its_uploads(stack: DeployedStack, owner: Member) -> None:
    key = make(stack, owner, "files:write")
    ticket = stack.api.post("/auth/ticket", headers=bearer(key["key"]))
    assert ticket.status_code == 201, ticket.text
    params = f"{ticket.json()['base_path']}/s3/params?filename=a.txt&type=text/plain"
    started = stack.api.get(params)
    assert started.status_code == 200, started.text
    file_id = started.json()["fields"]["key"].partition("/")[2]
    assert stack.api.delete(f"/api-keys/{key['id']}", headers=owner.headers).status_code == 204
    assert stack.api.get(params).status_code == 401
    assert stack.details(owner, file_id)["status"] == "failed"


def test_key_is_bound_to_the_address_that_the_gateway_sees(stack: DeployedStack, owner: Member) -> None:
    here, elsewhere = ("127.0.0.0/8", "::1/128"), ("198.51.100.0/24",)
    assert send(stack, make(stack, owner, "files:write", networks=here)["key"]).status_code == 201
    refused = send(stack, make(stack, owner, "files:write", networks=elsewhere)["key"])
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_permission")


def test_key_of_one_organization_opens_nothing_of_another(stack: DeployedStack, owner: Member) -> None:
    stranger = stack.sign_up("Keyless")
    key = make(stack, stranger, "files:read", "files:manage", "files:delete", "keys:manage")
    file = stack.upload(owner, "private.txt", b"private\n")
    theirs = make(stack, owner, "files:read")
    for method, path in (
        ("GET", f"/files/{file['id']}"),
        ("DELETE", f"/files/{file['id']}"),
        ("DELETE", f"/api-keys/{theirs['id']}"),
    ):
        assert stack.api.request(method, path, headers=bearer(key["key"])).status_code == 404
