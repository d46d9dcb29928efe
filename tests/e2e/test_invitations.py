"""An organisation that its own people run, on the deployed stack with permissions enforced."""

from __future__ import annotations

import uuid

import httpx

from .stack import DeployedStack, Member

PASSWORD = "a long password of somebody new"


def accept(stack: DeployedStack, token: str, username: str) -> httpx.Response:
    answer = stack.api.post("/invitations/accept", json={"token": token, "username": username, "password": PASSWORD})
    stack.api.cookies.clear()
    return answer


def test_owner_invites_and_the_invited_work_by_their_role(stack: DeployedStack) -> None:
    owner = stack.sign_up(f"Crew{uuid.uuid4().hex[:8]}")
    people: dict[str, Member] = {}
    for role in ("member", "viewer"):
        sent = stack.api.post(
            "/invitations", headers=owner.headers, json={"role": role, "email": f"{role}@example.com"}
        )
        assert sent.status_code == 201, sent.text
        assert (sent.json()["url"], sent.json()["mailed"]) == (None, False)
        resent = stack.api.post(f"/invitations/{sent.json()['id']}/resend", headers=owner.headers).json()
        username = f"{owner.username}-{role}"
        assert accept(stack, sent.json()["token"], username).status_code == 404
        accepted = accept(stack, resent["token"], username)
        assert accepted.status_code == 201, accepted.text
        assert accepted.json()["user"]["role"] == role
        assert accept(stack, resent["token"], f"{username}-again").status_code == 404
        people[role] = Member(owner.organization_id, username, PASSWORD, stack.sign_in(username, PASSWORD))
    record = stack.upload(people["member"], "report.txt", b"The report.\n")
    assert stack.api.delete(f"/files/{record['id']}", headers=people["viewer"].headers).status_code == 403
    # Removing a user takes the name, its looks, and the sessions along.
    users = stack.api.get("/users", headers=owner.headers).json()["users"]
    [viewer_id] = [user["id"] for user in users if user["role"] == "viewer"]
    assert stack.api.delete(f"/users/{viewer_id}", headers=owner.headers).status_code == 204
    assert stack.api.get("/auth/me", headers=people["viewer"].headers).status_code == 401


def test_owner_changes_the_organization(stack: DeployedStack) -> None:
    owner = stack.sign_up(f"Crew{uuid.uuid4().hex[:8]}")
    body = {"name": "Crew & Co.", "policy": {"refused_types": ["text/*"]}}
    changed = stack.api.patch("/organization", headers=owner.headers, json=body)
    assert changed.status_code == 200, changed.text
    assert changed.json() == stack.api.get("/organization", headers=owner.headers).json()
    record = stack.upload(owner, "report.txt", b"The report.\n")
    assert stack.wait_for(owner, record["id"], "failed")["status"] == "failed"


def test_invitations_can_be_deleted_and_sign_up_is_closed(stack: DeployedStack) -> None:
    owner = stack.sign_up(f"Crew{uuid.uuid4().hex[:8]}")
    sent = stack.api.post("/invitations", headers=owner.headers, json={"role": "owner", "name": "Carla"}).json()
    listed = stack.api.get("/invitations", headers=owner.headers).json()["invitations"]
    assert [invitation["id"] for invitation in listed] == [sent["id"]]
    assert stack.api.delete(f"/invitations/{sent['id']}", headers=owner.headers).status_code == 204
    assert accept(stack, sent["token"], f"{owner.username}-late").status_code == 404
    body = {"name": "Zeta", "username": "zoe", "password": PASSWORD}
    refused = stack.api.post("/organizations", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "sign_up_closed")
