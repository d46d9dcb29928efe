"""Invitations and sign-up: what is done, and what a client does after a bad answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chalicelib.invitations import logic as invitations
from chalicelib.invitations.records import Invitation
from chalicelib.kernel.permissions import Role
from tests.faults.lab import Lab
from tests.faults.people import PASSWORD, Answer, Person

EMAIL = "carla@example.com"
NAME = "carla"


def open_invitations(lab: Lab) -> list[Invitation]:
    with lab.wire.by_somebody_else():
        return invitations.list_invitations(lab.stores, lab.people["anna"].organization.organization_id)


def invite(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].request("POST", "/invitations", json_body={"role": "admin", "email": EMAIL})


def invite_again(lab: Lab, prepared: Any) -> None:
    """The first may be there; then it is sent again, because its token was lost with the answer."""
    answer = invite(lab, prepared)
    if answer.status == 409:
        [invitation] = open_invitations(lab)
        answer = lab.people["anna"].request("POST", f"/invitations/{invitation.invitation_id}/resend")
        assert answer.status == 200, "can't be sent again"
    else:
        assert answer.status == 201, "can't invite afterwards"
    assert len(open_invitations(lab)) == 1, "one address was invited twice"
    assert accept(lab, answer.body["token"]).status == 201, "the token is worthless"


def invited(lab: Lab) -> str:
    """The token of an open invitation."""
    token: str = invite(lab, None).body["token"]
    return token


def newcomer(lab: Lab) -> Person:
    return replace(lab.people["anna"], username=NAME, token=None)


def accept(lab: Lab, token: str) -> Answer:
    return newcomer(lab).request(
        "POST", "/invitations/accept", json_body={"token": token, "username": NAME, "password": PASSWORD}
    )


def accept_again(lab: Lab, token: str) -> None:
    """Once more; when the first has used the token up, with its name and password."""
    assert accept(lab, token).status in (201, 404), "can't be accepted afterwards"
    person = newcomer(lab)
    assert person.login().status == 200, "the invited person can't sign in"
    assert open_invitations(lab) == [], "the invitation is still open"
    user = lab.stores.users.find_by_username(NAME)
    assert user is not None
    assert user.role is Role.ADMIN, "another role than that of the invitation"


def resend(lab: Lab, token: str) -> Answer:
    [invitation] = open_invitations(lab)
    return lab.people["anna"].request("POST", f"/invitations/{invitation.invitation_id}/resend")


def resend_again(lab: Lab, token: str) -> None:
    answer = resend(lab, token)
    assert answer.status == 200, "can't be sent again"
    assert accept(lab, token).status == 404, "the first token outlived its successor"
    assert accept(lab, answer.body["token"]).status == 201, "the last token is worthless"


def sign_up(lab: Lab, prepared: Any) -> Answer:
    return newcomer(lab).request(
        "POST", "/organizations", json_body={"name": "Crew", "username": NAME, "password": PASSWORD}
    )


def sign_up_again(lab: Lab, prepared: Any) -> None:
    """Once more; when the first has taken the name, with it and its password."""
    assert sign_up(lab, prepared).status in (201, 409), "can't sign up afterwards"
    assert newcomer(lab).login().status == 200, "the owner can't sign in"
    assert [o.name for o in lab.stores.organizations.all()].count("Crew") == 1, "two organisations for one sign-up"
