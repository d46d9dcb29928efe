"""What somebody else's attempts can't do to a user of the deployed stack."""

from __future__ import annotations

import uuid

import httpx
import pytest

from .stack import DeployedStack, Member

#: The product's own limits of these stay as they are in the deployed stack.
FAILURES_OF_A_NAME_FROM_AN_ADDRESS = 10
TICKETS_AN_HOUR = 60


@pytest.fixture
def victim(stack: DeployedStack) -> Member:
    return stack.sign_up(f"Victim{uuid.uuid4().hex[:8]}")


def login(stack: DeployedStack, member: Member, password: str, cookies: dict[str, str] | None = None) -> httpx.Response:
    answer = stack.api.post(
        "/auth/login",
        json={"username": member.username, "password": password},
        headers={"Cookie": "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())},
    )
    stack.api.cookies.clear()
    return answer


def test_wrong_logins_of_a_stranger_refuse_no_known_device(stack: DeployedStack, victim: Member) -> None:
    known = login(stack, victim, victim.password)
    cookies = dict(known.cookies)
    assert set(cookies) == {"session", "device"}, "the gateway passes both cookies"
    refused = [login(stack, victim, "guess").status_code for _ in range(FAILURES_OF_A_NAME_FROM_AN_ADDRESS + 5)]
    assert refused == [401] * FAILURES_OF_A_NAME_FROM_AN_ADDRESS + [429] * 5
    assert login(stack, victim, victim.password).status_code == 429, "an unknown device is refused"
    assert login(stack, victim, victim.password, {"device": cookies["device"]}).status_code == 200
    changed = stack.api.post(
        "/auth/password",
        headers=victim.headers,
        json={"current_password": victim.password, "new_password": "another long password"},
    )
    assert changed.status_code == 200, changed.text


def test_right_password_does_not_use_up_failures(stack: DeployedStack, victim: Member) -> None:
    for _ in range(FAILURES_OF_A_NAME_FROM_AN_ADDRESS + 5):
        assert login(stack, victim, victim.password).status_code == 200


@pytest.mark.parametrize("site", ["same-site", "cross-site"])
def test_reserving_by_get_is_refused_to_other_sites(stack: DeployedStack, victim: Member, site: str) -> None:
    cookie = {"Cookie": f"session={victim.token}"}
    query = "/s3/params?filename=a.txt&type=text/plain"
    assert stack.api.get(query, headers={**cookie, "Sec-Fetch-Site": site}).status_code == 403
    assert stack.api.get(query, headers={**cookie, "Sec-Fetch-Site": "same-origin"}).status_code == 200


def test_tickets_are_limited(stack: DeployedStack, victim: Member) -> None:
    drawn = [stack.api.post("/auth/ticket", headers=victim.headers).status_code for _ in range(TICKETS_AN_HOUR + 1)]
    assert drawn == [201] * TICKETS_AN_HOUR + [429]


def test_form_that_can_t_be_read_is_refused_in_our_words(stack: DeployedStack, victim: Member) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff\xfe.txt"\r\n\r\nx\r\n--b--\r\n'
    answer = stack.api.post(
        "/files", headers={**victim.headers, "Content-Type": "multipart/form-data; boundary=b"}, content=body
    )
    assert answer.status_code == 400, answer.text
    assert "UnicodeDecodeError" not in answer.text
    assert "UTF-8" in answer.json()["error"]
