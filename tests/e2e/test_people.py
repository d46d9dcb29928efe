"""Owners run their organisation over HTTP, with the rights that the deployed API has."""

from __future__ import annotations

from typing import Any

import httpx

from chalicelib.accounts import users as accounts
from chalicelib.kernel.permissions import Role

from .stack import DeployedStack, Member

PASSWORD = "a long password of a person"


def colleague(stack: DeployedStack, owner: Member, username: str, role: Role) -> tuple[Member, str]:
    user = accounts.create_user(stack.stores(), owner.organization_id, username, PASSWORD, role=role)
    return Member(owner.organization_id, username, PASSWORD, stack.sign_in(username, PASSWORD)), user.user_id


def change(stack: DeployedStack, by: Member, user_id: str, **what: Any) -> httpx.Response:
    return stack.api.patch(f"/users/{user_id}", headers=by.headers, json=what)


def test_owner_demotes_disables_signs_out_and_removes(stack: DeployedStack) -> None:
    owner = stack.sign_up("People")
    member, user_id = colleague(stack, owner, "people-member", Role.MEMBER)
    listed = stack.api.get("/users", headers=owner.headers).json()["users"]
    assert {user["username"]: user["role"] for user in listed} == {"people-admin": "owner", "people-member": "member"}
    record = stack.upload(member, "mine.txt", b"mine")

    assert change(stack, owner, user_id, role="viewer").json()["role"] == "viewer"
    refused = stack.api.delete(f"/files/{record['id']}", headers=member.headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_permission")
    assert stack.api.get(f"/files/{record['id']}", headers=member.headers).status_code == 200

    signed_out = stack.api.post(f"/users/{user_id}/sign-out", headers=owner.headers)
    assert signed_out.json() == {"ended_sessions": 1}
    assert stack.api.get("/auth/me", headers=member.headers).status_code == 401

    assert change(stack, owner, user_id, disabled=True).json()["disabled"] is True
    credentials = {"username": member.username, "password": PASSWORD}
    assert stack.api.post("/auth/login", json=credentials).status_code == 401

    assert stack.api.delete(f"/users/{user_id}", headers=owner.headers).status_code == 204
    assert stack.api.get(f"/users/{user_id}", headers=owner.headers).status_code == 404
    # The name is free again.
    colleague(stack, owner, "people-member", Role.VIEWER)


def test_last_owner_stays_and_admins_do_nothing_to_owners(stack: DeployedStack) -> None:
    owner = stack.sign_up("Summit")
    owner_id = stack.api.get("/auth/me", headers=owner.headers).json()["user"]["id"]
    admin, _ = colleague(stack, owner, "summit-second", Role.ADMIN)
    refused = change(stack, owner, owner_id, role="member")
    assert (refused.status_code, refused.json()["code"]) == (409, "last_owner")
    assert change(stack, admin, owner_id, disabled=True).status_code == 403
    assert stack.api.delete(f"/users/{owner_id}", headers=admin.headers).status_code == 403
