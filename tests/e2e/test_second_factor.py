"""The second factor and own sessions on the deployed stack, where permissions count and the cache is a real one."""

from __future__ import annotations

import time

import httpx
import pyotp

from chalicelib.tenants.organizations import set_require_second_factor

from .stack import DeployedStack, Member


def headers_of(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def log_in(stack: DeployedStack, member: Member) -> httpx.Response:
    body = {"username": member.username, "password": member.password, "token": True}
    answer = stack.api.post("/auth/login", json=body)
    stack.api.cookies.clear()
    return answer


def test_second_factor_from_set_up_to_reset(stack: DeployedStack) -> None:
    member = stack.sign_up("Careful")
    begun = stack.api.post("/auth/second-factor/setup", headers=member.headers, json={"password": member.password})
    assert begun.status_code == 200, begun.text
    authenticator = pyotp.TOTP(begun.json()["secret"])
    body = {"code": authenticator.now()}
    confirmed = stack.api.post("/auth/second-factor/confirm", headers=member.headers, json=body)
    assert confirmed.status_code == 200, confirmed.text

    asked = log_in(stack, member)
    assert asked.json()["second_factor"] == "required", asked.text
    challenge = asked.json()["challenge"]
    # One step early is in time; the code of this moment may be used up.
    early = authenticator.at(int(time.time()), counter_offset=1)
    done = stack.api.post("/auth/second-factor", json={"challenge": challenge, "code": early, "token": True})
    assert done.status_code == 200, done.text
    assert stack.api.get("/files", headers=headers_of(done.json()["token"])).status_code == 200
    again = stack.api.post("/auth/second-factor", json={"challenge": challenge, "code": early})
    assert again.status_code == 401, again.text

    recovery = confirmed.json()["recovery_codes"]
    renewed = stack.api.post(
        "/auth/second-factor/recovery-codes",
        headers=member.headers,
        json={"password": member.password, "code": recovery[0]},
    )
    assert renewed.status_code == 200, renewed.text
    removed = stack.api.request(
        "DELETE",
        "/auth/second-factor",
        headers=member.headers,
        json={"password": member.password, "code": renewed.json()["recovery_codes"][0]},
    )
    assert removed.status_code == 204, removed.text
    assert "token" in log_in(stack, member).json()


def test_required_second_factor_opens_the_set_up_only(stack: DeployedStack) -> None:
    member = stack.sign_up("Required")
    set_require_second_factor(stack.stores(), member.organization_id, True)
    answer = log_in(stack, member)
    assert answer.json()["user"]["must_set_up_second_factor"] is True, answer.text
    headers = headers_of(answer.json()["token"])
    refused = stack.api.get("/files", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_required")
    begun = stack.api.post("/auth/second-factor/setup", headers=headers, json={"password": member.password})
    body = {"code": pyotp.TOTP(begun.json()["secret"]).now()}
    confirmed = stack.api.post("/auth/second-factor/confirm", headers=headers, json=body)
    assert confirmed.status_code == 200, confirmed.text
    assert stack.api.get("/files", headers=headers).status_code == 200


def test_own_sessions_are_listed_and_ended(stack: DeployedStack) -> None:
    member = stack.sign_up("Listed")
    other = log_in(stack, member).json()["token"]
    listed = stack.api.get("/auth/sessions", headers=member.headers)
    assert listed.status_code == 200, listed.text
    sessions = listed.json()["sessions"]
    assert sorted(session["current"] for session in sessions) == [False, True]
    assert all(session["program"].startswith("python-httpx") for session in sessions)
    [ended] = [session["id"] for session in sessions if not session["current"]]
    assert stack.api.delete(f"/auth/sessions/{ended}", headers=member.headers).status_code == 204
    assert stack.api.get("/auth/me", headers=headers_of(other)).status_code == 401
    assert stack.api.delete("/auth/sessions", headers=member.headers).json() == {"ended_sessions": 0}
