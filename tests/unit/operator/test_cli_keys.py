"""API keys from the command line."""

from __future__ import annotations

import json

import pytest

from chalicelib.api_keys import key_text
from chalicelib.kernel.permissions import Scope
from infra.commands.keys import SCOPE
from tests.unit.api import Api, Session
from tests.unit.contract import check_error, check_success
from tests.unit.keys import make_key
from tests.unit.operator.conftest import Operator
from tests.unit.world import World


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_command_line_knows_the_same_scopes() -> None:
    assert list(SCOPE.choices) == list(Scope)


def test_key_is_printed_once_and_alone_and_works(operator: Operator, api: Api, anna: Session, acme: str) -> None:
    options = ("--scope", "files:write", "--network", "127.0.0.0/8")
    text = operator.done("keys", "create", acme, "nightly", *options).removesuffix("\n")
    assert key_text.parse(text) is not None
    check_success(api.get("/auth/me", headers=bearer(text)))
    [shown] = api.get("/api-keys", anna).json["api_keys"]
    assert shown["made_by"] == {"type": "operator", "id": "operator", "name": "operator"}
    assert (shown["scopes"], shown["networks"]) == (["files:write"], ["127.0.0.0/8"])
    listed = operator.done("keys", "list", acme)
    assert shown["id"] in listed
    assert text.rpartition("_")[2] not in listed


def test_key_as_json_without_an_end(operator: Operator, api: Api, acme: str) -> None:
    made = json.loads(
        operator.done(
            "keys", "create", acme, "all", "--scope", "files:read", "--scope", "users:read", "--never", "--json"
        )
    )
    assert made["expires_at"] is None
    assert api.get("/auth/me", headers=bearer(made["key"])).json["user"]["scopes"] == ["files:read", "users:read"]
    [listed] = json.loads(operator.done("keys", "list", acme, "--json"))
    assert set(listed) == {
        *("id", "name", "scopes", "networks", "made_by", "created", "expires", "last_used", "revoked"),
    }
    assert (listed["id"], listed["scopes"], listed["expires"]) == (made["id"], "files:read users:read", None)
    assert listed["last_used"].endswith("Z")


def test_key_of_a_person_is_revoked_by_its_id(operator: Operator, api: Api, anna: Session) -> None:
    key = make_key(api, anna)
    for _ in range(2):
        said = operator.done("keys", "revoke", key.caller.user_id)
        assert said == f"robot ({key.caller.user_id}) is revoked; open uploads are ended.\n"
    check_error(api.get("/auth/me", key), 401)
    assert api.get("/api-keys", anna).json["api_keys"][0]["revoked_at"] is not None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("revoke", "nobody"), "There is no such API key."),
        (("revoke", "0" * 33), "There is no such API key."),
        (("list", "01890000-0000-4000-8000-000000000000"), "There is no organisation"),
        (("create", "ACME", "x", "--scope", "files:read", "--days", "366"), "A key lives from 1 to 365 days."),
        (("create", "ACME", " ", "--scope", "files:read"), "A key's name has from 1 to 100 characters"),
        (("create", "ACME", "x", "--scope", "files:read", "--network", "here"), "Each of networks must be"),
    ],
)
def test_wrong_wishes_are_sentences(
    operator: Operator, world: World, acme: str, arguments: tuple[str, ...], sentence: str
) -> None:
    said = operator.refused("keys", *[acme if argument == "ACME" else argument for argument in arguments])
    assert said.startswith(sentence)
    assert not world.rows("api-keys")


@pytest.mark.parametrize("wrong", [["--scope", "files:eat"], [], ["--scope", "files:read", "--days", "1", "--never"]])
def test_wrong_usage_is_exit_code_2(operator: Operator, acme: str, wrong: list[str]) -> None:
    assert operator.run("keys", "create", acme, "x", *wrong).exit_code == 2
