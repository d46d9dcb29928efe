"""Invitations from the command line."""

from __future__ import annotations

import json

import pytest

from chalicelib.kernel.permissions import Role
from tests.unit.api import Api, Session
from tests.unit.conftest import Configure
from tests.unit.contract import check_success
from tests.unit.http.test_invitations import accept, check_dead, invite
from tests.unit.operator.conftest import Operator
from tests.unit.world import World


def test_operator_invites_to_any_role_whoever_comes_and_goes(
    operator: Operator, api: Api, world: World, acme: str, configure: Configure
) -> None:
    configure(INVITATION_URL="https://app.example.com/join#token={token}")
    words = ("invitations", "create", acme, "owner", "--name", "Carla", "--email", "carla@example.com", "--json")
    [sent] = json.loads(operator.done(*words))
    assert sent["url"].endswith(sent["token"])
    assert sent["mailed"] is False
    check_success(accept(api, sent["token"]), 201)
    user = world.stores.users.find_by_username("carla")
    assert user is not None
    assert user.role is Role.OWNER
    assert world.organization().owners == 2


def test_listed_resent_and_revoked(operator: Operator, api: Api, anna: Session, acme: str) -> None:
    first = invite(api, anna, name="Carla").json
    [listed] = json.loads(operator.done("invitations", "list", acme, "--json"))
    assert listed == {
        "id": first["id"],
        "role": "member",
        "name": "Carla",
        "email": "",
        "invited_by": "user anna",
        "created": first["created_at"],
        "expires": first["expires_at"],
    }
    assert first["id"] in operator.done("invitations", "list", acme)
    [sent] = json.loads(operator.done("invitations", "resend", acme, first["id"], "--json"))
    check_dead(api, first["token"])
    assert sent["id"] == first["id"]
    assert operator.done("invitations", "revoke", acme, first["id"]) == f"Invitation {first['id']} is deleted.\n"
    check_dead(api, sent["token"])
    assert operator.done("invitations", "list", acme) == "None.\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("create|nowhere|owner", "There is no organisation nowhere."),
        ("list|nowhere", "There is no organisation nowhere."),
        ("create|{acme}|owner|--email|nobody", "email must be an address"),
        ("resend|{acme}|00000000000000000", "There is no such invitation."),
        ("revoke|{acme}|x", "There is no such invitation."),
    ],
)
def test_what_can_t_be_done_is_one_sentence(operator: Operator, acme: str, words: str, sentence: str) -> None:
    assert sentence in operator.refused("invitations", *words.format(acme=acme).split("|"))


def test_unknown_role_is_a_usage_error(operator: Operator, acme: str) -> None:
    operator.refused("invitations", "create", acme, "king", exit_code=2)
