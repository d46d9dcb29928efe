"""Organisations and users from the command line."""

from __future__ import annotations

import json
from typing import Any

import click
import pytest

from chalicelib.processing.mime import detect_type
from chalicelib.tenants import organizations as tenants
from chalicelib.tenants.organization import Policy
from chalicelib.tenants.organizations import OTHER_NAMES
from infra.__main__ import cli
from infra.commands.options import SIZE
from tests.unit.api import Api, Session
from tests.unit.authenticator import set_up, stopped_clock
from tests.unit.cloud import USERS
from tests.unit.conftest import SignIn
from tests.unit.operator.conftest import Operator
from tests.unit.world import World

PASSWORD = "a-new-password-1893"


# ---- organisations -----------------------------------------------------------------------------------------------
def test_organization_is_created_and_listed_with_its_quota(operator: Operator, api: Api, anna: Session) -> None:
    api.upload(anna, b"hello")
    [made] = json.loads(
        operator.done("organizations", "create", " Zeta ", "--quota-bytes", "900", "--quota-files", "3", "--json")
    )
    assert made["name"] == "Zeta"
    listed = {o["name"]: o for o in json.loads(operator.done("organizations", "list", "--json"))}
    assert set(listed) == {"Acme", "Bolt", "Zeta"}
    zeta = listed["Zeta"]
    assert zeta.pop("created").endswith("Z")
    assert zeta == {"id": made["id"], "name": "Zeta", "files": 0, "quota_files": 3, "bytes": 0, "quota_bytes": 900}
    assert (listed["Acme"]["files"], listed["Acme"]["bytes"]) == (1, 5)


def test_list_for_people_has_headings_and_columns_that_line_up(operator: Operator) -> None:
    heading, *rows = operator.done("organizations", "list").splitlines()
    assert heading.split() == ["Id", "Name", "Files", "Quota", "files", "Bytes", "Quota", "bytes", "Created"]
    assert len(rows) == 2
    assert {row[heading.index("Name") :].split()[0] for row in rows} == {"Acme", "Bolt"}


def test_quota_from_the_command_line_stops_uploads_and_lets_them_through(
    operator: Operator, api: Api, anna: Session, acme: str
) -> None:
    said = operator.done("organizations", "set-quota", acme, "--bytes", "4", "--files", "10")
    assert said == "Acme may keep 10 files and 4 bytes.\n"
    assert api.upload(anna, b"hello").status == 409
    operator.done("organizations", "set-quota", acme, "--bytes", "5", "--files", "1")
    assert api.upload(anna, b"hello").status == 201
    assert api.upload(anna, b"").status == 409


def test_rule_that_is_not_named_stays(operator: Operator, world: World, acme: str) -> None:
    set_policy = ("organizations", "set-policy", acme)
    operator.done(*set_policy, "--allow", "image/*", "--allow", "text/plain", "--refuse", "image/gif")
    assert world.organization().policy == Policy(("image/*", "text/plain"), ("image/gif",), None)
    operator.done(*set_policy, "--max-file-bytes", "10kB")
    assert world.organization().policy == Policy(("image/*", "text/plain"), ("image/gif",), 10_000)
    operator.done(*set_policy, "--match-extension", "--allow", "image/*")
    assert world.organization().policy == Policy(("image/*",), ("image/gif",), 10_000, match_extension=True)
    operator.done(*set_policy, "--allow-all", "--refuse-none", "--no-max-file-bytes", "--no-match-extension")
    assert world.organization().policy == Policy()


def test_policy_without_a_rule_is_refused_and_wipes_nothing(operator: Operator, world: World, acme: str) -> None:
    operator.done("organizations", "set-policy", acme, "--allow", "image/*")
    said = operator.refused("organizations", "set-policy", acme, exit_code=2)
    assert said.startswith("Say which rule to set.")
    both = operator.refused("organizations", "set-policy", acme, "--allow", "a/b", "--allow-all", exit_code=2)
    assert both == "Give --allow or --allow-all, not both."
    assert world.organization().policy == Policy(("image/*",))


def test_one_quota_alone_leaves_the_other(operator: Operator, world: World, acme: str) -> None:
    before = world.organization()
    operator.done("organizations", "set-quota", acme, "--bytes", "5GB")
    assert (world.organization().quota_bytes, world.organization().quota_files) == (5 * 10**9, before.quota_files)
    [facts] = [json.loads(operator.done("organizations", "set-quota", acme, "--files", "7", "--json"))]
    assert facts == {"id": acme, "name": "Acme", "quota_bytes": 5 * 10**9, "quota_files": 7}


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("12", 12), ("50MB", 50 * 10**6), ("5GiB", 5 * 2**30), ("1.5 tb", 15 * 10**11), ("0.1kib", 102)],
)
def test_size_is_read_in_units(text: str, size: int) -> None:
    assert SIZE.convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "GB", "5XB", "1.5", "1.5B", "5 G B", "\u0661GB", "1e3"])
def test_what_is_no_size_is_refused(operator: Operator, acme: str, text: str) -> None:
    said = operator.refused("organizations", "set-quota", acme, "--bytes", text, exit_code=2)
    assert "is no size such as" in said


@pytest.mark.parametrize(("name", "right"), OTHER_NAMES.items())
def test_type_that_is_never_detected_is_refused_with_the_right_name(
    operator: Operator, acme: str, name: str, right: str
) -> None:
    said = operator.refused("organizations", "set-policy", acme, "--refuse", name)
    assert said == f"No file is detected as '{name}': the name of that type is {right}."


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"></svg>', "image/svg+xml"),
        (b'<?xml version="1.0"?><a/>', "text/xml"),
        (b'{"a": 1}', "application/json"),
        (b"ID3\x03" + bytes(6) + b"\xff\xfb\x90\x00" * 50, "audio/mpeg"),
        (b"PK\x05\x06" + bytes(18), "application/zip"),
        (b"\x1f\x8b\x08\x00" + bytes(20), "application/gzip"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00", "audio/x-wav"),
        (b"{\\rtf1 hello}", "text/rtf"),
        (b"%PDF-1.7 a", "application/pdf"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", "image/jpeg"),
    ],
)
def test_right_names_are_what_is_detected(body: bytes, wanted: str) -> None:
    assert detect_type(body) == wanted
    assert wanted in OTHER_NAMES.values()


def test_organization_is_named_by_its_name_where_it_has_it_alone(operator: Operator, world: World, acme: str) -> None:
    assert json.loads(operator.done("organizations", "show", "acme", "--json"))["Organization"]["id"] == acme
    assert {user["username"] for user in json.loads(operator.done("users", "list", "Acme", "--json"))} >= {"anna"}
    assert operator.refused("users", "list", "Acne") == "There is no organisation Acne. Did you mean 'Acme'?"
    other = tenants.create_organization(world.stores, "ACME")
    said = operator.refused("organizations", "set-quota", "Acme", "--files", "1")
    assert said == f"2 organisations are called Acme. Say which: {', '.join(sorted([acme, other.organization_id]))}."


def test_second_organization_of_a_name_is_made_with_a_warning(operator: Operator, acme: str) -> None:
    result = operator.run("organizations", "create", "acme")
    assert result.exit_code == 0
    assert result.stderr.startswith(f"Warning: {acme} is called acme, too.")
    assert operator.run("organizations", "rename", "Bolt", "Volt").stderr == ""


def test_organization_is_renamed(operator: Operator, world: World, acme: str) -> None:
    assert operator.done("organizations", "rename", "Acme", "Zenith") == f"{acme} is called Zenith now.\n"
    assert world.organization().name == "Zenith"
    assert operator.refused("organizations", "rename", "Zenith", " ").startswith("An organisation's name has")


def test_show_tells_what_an_organization_has(operator: Operator, api: Api, anna: Session, acme: str) -> None:
    api.upload(anna, b"hello")
    found = json.loads(operator.done("organizations", "show", acme, "--json"))
    assert found["Used"] == {"bytes": 5, "files": 1}
    assert found["Files"]["pending"] == 1
    assert found["Has"] == {"users": 2, "api_keys": 0, "invitations": 0, "webhooks": 0}
    assert "allowed types              every type" in operator.done("organizations", "show", acme)


# ---- users -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", ["standard input", "prompt", "prompt after a slip"])
def test_created_user_can_sign_in_and_the_password_is_shown_nowhere(
    operator: Operator, api: Api, acme: str, way: str
) -> None:
    options, typed = {
        "standard input": (["--password-stdin"], f"{PASSWORD}\nnot the password\n"),
        "prompt": ([], f"{PASSWORD}\n{PASSWORD}\n"),
        "prompt after a slip": ([], f"{PASSWORD}\nslip-of-{PASSWORD}\n{PASSWORD}\n{PASSWORD}\n"),
    }[way]
    result = operator.run("users", "create", acme, "Jane@Example.com", *options, typed=typed)
    assert result.exit_code == 0, result.output
    assert PASSWORD not in result.output
    answer = api.login("jane@example.com", PASSWORD)
    assert answer.status == 200
    assert answer.json["user"]["organization_id"] == acme


def test_no_command_takes_a_password_as_an_argument() -> None:
    def parameters(command: click.Command) -> list[click.Parameter]:
        if isinstance(command, click.Group):
            return [p for below in command.commands.values() for p in parameters(below)]
        return command.params

    found = [p for p in parameters(cli) if "password" in (p.name or "")]
    assert found
    assert all(isinstance(p, click.Option) and p.is_flag and not p.envvar for p in found)


def test_password_of_72_bytes_is_taken_and_a_longer_one_refused(operator: Operator, api: Api, acme: str) -> None:
    too_long = operator.refused("users", "create", acme, "jane", "--password-stdin", typed="ä" * 37)
    assert too_long == "A password may take at most 72 bytes in UTF-8; this one takes 74."
    operator.done("users", "create", acme, "jane", "--password-stdin", typed="äöüß" * 9)
    assert api.login("jane", "äöüß" * 9).status == 200


@pytest.mark.parametrize(
    ("typed", "exit_code", "sentence"),
    [
        ("", 2, "--password-stdin was given, but standard input has no first line."),
        ("\nsecond line\n", 2, "--password-stdin was given, but standard input has no first line."),
        ("short\n", 1, "A password needs at least 8 characters."),
        ("nul\x00in the middle\n", 1, "A password can't contain a NUL character."),
        (b"caf\xe9-in-latin-1\n", 2, "The password on standard input is not UTF-8."),
    ],
)
def test_unusable_password_is_refused(
    operator: Operator, acme: str, typed: str | bytes, exit_code: int, sentence: str
) -> None:
    given = ("--password-stdin",)
    assert operator.refused("users", "create", acme, "jane", *given, exit_code=exit_code, typed=typed) == sentence
    assert operator.refused("users", "set-password", "anna", *given, exit_code=exit_code, typed=typed) == sentence


def test_disabled_user_is_out_at_once_and_for_as_long(
    operator: Operator, api: Api, sign_in: SignIn, anna: Session
) -> None:
    elsewhere, albert = sign_in("anna"), sign_in("albert")
    assert (
        operator.done("users", "disable", "Anna")
        == "Anna is disabled, and signed out everywhere; open uploads are ended.\n"
    )
    assert [api.get("/auth/me", session).status for session in (anna, elsewhere, albert)] == [401, 401, 200]
    assert api.login("anna", anna.password).status == 401
    operator.done("users", "enable", "anna")
    assert api.login("anna", anna.password).status == 200
    assert api.get("/auth/me", anna).status == 401


def test_new_password_ends_every_session_and_the_old_password(
    operator: Operator, world: World, api: Api, sign_in: SignIn, anna: Session
) -> None:
    elsewhere, albert = sign_in("anna"), sign_in("albert")
    said = operator.done("users", "set-password", "anna", "--password-stdin", typed=PASSWORD)
    assert said == "The password of anna is set; they are signed out everywhere.\n"
    assert [api.get("/auth/me", session).status for session in (anna, elsewhere, albert)] == [401, 401, 200]
    assert [row for row in world.rows("sessions") if row["user_id"]["S"] == anna.caller.user_id] == []
    assert api.login("anna", anna.password).status == 401
    assert api.login("anna", PASSWORD).status == 200


def test_role_is_given_and_counts_at_the_next_request(
    operator: Operator, world: World, api: Api, sign_in: SignIn, acme: str
) -> None:
    albert = sign_in("albert")
    assert operator.done("users", "set-role", "albert", "admin") == "albert is admin now.\n"
    assert api.get("/auth/me", albert).json["user"]["role"] == "admin"
    said = operator.refused("users", "set-role", "anna", "member", exit_code=1)
    assert "without an owner" in said
    made = operator.done("users", "create", acme, "vera", "--role", "viewer", "--password-stdin", typed=PASSWORD)
    assert made.endswith(", viewer.\n")
    users = json.loads(operator.done("users", "list", acme, "--json"))
    assert {user["username"]: user["role"] for user in users} == {"anna": "owner", "albert": "admin", "vera": "viewer"}


def test_last_owner_can_be_disabled_by_the_operator(operator: Operator, world: World) -> None:
    operator.done("users", "disable", "anna")
    assert world.organization().owners == 0
    operator.done("users", "set-role", "albert", "owner")
    assert world.organization().owners == 1


def test_users_are_listed_with_their_state_and_without_secrets(operator: Operator, anna: Session, acme: str) -> None:
    operator.done("users", "disable", "albert")
    text = operator.done("users", "list", acme, "--json")
    users: dict[str, dict[str, Any]] = {user["username"]: user for user in json.loads(text)}
    assert {name: (user["state"], user["sessions"]) for name, user in users.items()} == {
        "anna": ("active", 1),
        "albert": ("disabled", 0),
    }
    assert set(users["anna"]) == {"id", "username", "role", "state", "second_factor", "sessions", "created"}


def test_second_factor_is_reset(operator: Operator, api: Api, anna: Session, acme: str) -> None:
    with stopped_clock():
        made = set_up(api, anna)
        listed = json.loads(operator.done("users", "list", acme, "--json"))
        assert {user["username"]: user["second_factor"] for user in listed} == {"anna": "yes", "albert": "no"}
        assert not [code for code in (made.secret, *made.recovery_codes) if code in str(listed)]
        said = operator.done("users", "reset-second-factor", "Anna")
        assert said == "Anna has no second factor now; they are signed out everywhere.\n"
        assert api.get("/auth/me", anna).status == 401
        assert set(api.login("anna", anna.password).json) == {"success", "user"}


def test_user_is_deleted_after_a_yes(operator: Operator, world: World, api: Api, sign_in: SignIn) -> None:
    albert = sign_in("albert")
    assert "This would delete albert" in operator.done("users", "delete", "albert", "--dry-run")
    assert operator.run("users", "delete", "albert", typed="n\n").exit_code == 130
    unanswered = operator.run("users", "delete", "albert")
    assert (unanswered.exit_code, unanswered.stdout) == (130, "")
    assert "give --yes" in unanswered.stderr
    assert api.get("/auth/me", albert).status == 200
    result = operator.run("users", "delete", "Albert", typed="y\n")
    assert (result.exit_code, result.stdout) == (0, "albert is deleted.\n")
    assert api.get("/auth/me", albert).status == 401
    assert api.login("albert", albert.password).status == 401
    assert not [row for row in world.rows("users") if row["username"]["S"] == "albert"]


def test_empty_list_says_so(operator: Operator) -> None:
    [made] = json.loads(operator.done("organizations", "create", "Zeta", "--json"))
    assert operator.done("users", "list", made["id"]) == "None.\n"
    assert operator.done("users", "list", made["id"], "--json") == "[]\n"


# ---- refusals ----------------------------------------------------------------------------------------------------
GHOST = "There is no organisation ghost."
STDIN = "--password-stdin"
REFUSALS = {
    "organizations create|  ": (1, "An organisation's name has from 1 to 200 characters on one line."),
    f"organizations create|{'x' * 201}": (1, "An organisation's name has from 1 to 200 characters on one line."),
    f"organizations create|Zeta|--quota-bytes|{10**40}": (1, "A quota of bytes is from 0 to "),
    f"organizations set-quota|{{acme}}|--bytes|1|--files|{10**40}": (1, "A quota of files is from 0 to "),
    f"organizations set-policy|{{acme}}|--max-file-bytes|{10**40}": (1, "The largest file size is from 1 to "),
    "organizations create|Zeta|--quota-bytes|-1": (1, "A quota of bytes is from 0 to "),
    "organizations create|Zeta|--quota-files|many": (2, "'many' is not a valid integer."),
    "organizations create": (2, "Missing argument 'NAME'."),
    "organizations set-quota|ghost|--bytes|1|--files|1": (1, GHOST),
    "organizations set-quota|{acme}|--bytes|1|--files|-1": (1, "A quota of files is from 0 to "),
    "organizations set-quota|{acme}": (2, "Say what to set: --bytes, --files, or both."),
    "organizations set-policy|ghost|--allow-all": (1, GHOST),
    "organizations show|ghost": (1, GHOST),
    "organizations rename|ghost|Zeta": (1, GHOST),
    "organizations delete|ghost|--yes": (1, GHOST),
    "organizations set-policy|{acme}|--allow|pictures": (1, "'pictures' is not a type such as image/png or image/*."),
    "organizations set-policy|{acme}|--refuse|*/*": (1, "'*/*' is not a type such as image/png or image/*."),
    "organizations set-policy|{acme}|--max-file-bytes|0": (1, "The largest file size is from 1 to "),
    # Before it asks for a password.
    "users create|ghost|jane": (1, GHOST),
    f"users create|{{acme}}|Anna|{STDIN}": (1, "The username 'anna' is taken."),
    f"users create|{{acme}}|berta|{STDIN}": (1, "The username 'berta' is taken."),
    f"users create|{{acme}}|jane doe|{STDIN}": (1, "A username has from 1 to 128 letters, digits, or"),
    "users create|{acme}|jane|--password|secret": (2, "No such option '--password'."),
    "users list|ghost": (1, GHOST),
    "users disable|ghost": (1, "There is no user 'ghost'."),
    "users enable|no such name": (1, "There is no user 'no such name'."),
    f"users set-password|ghost|{STDIN}": (1, "There is no user 'ghost'."),
    "users reset-second-factor|ghost": (1, "There is no user 'ghost'."),
    "users delete|ghost|--yes": (1, "There is no user 'ghost'."),
    "users delete|anna|--yes": (1, "The organisation would be left without an owner."),
    "users remove|anna": (2, "No such command 'remove'."),
    "organisations": (2, "No such command 'organisations'. Did you mean 'organizations'?"),
    "nonsense": (2, "No such command 'nonsense'."),
}


@pytest.mark.parametrize("words", REFUSALS)
def test_what_can_t_be_done_is_one_sentence_and_changes_nothing(operator: Operator, acme: str, words: str) -> None:
    exit_code, sentence = REFUSALS[words]
    command, *arguments = words.format(acme=acme).split("|")
    assert sentence in operator.refused(*command.split(), *arguments, exit_code=exit_code, typed=f"{PASSWORD}\n")


def test_nothing_that_commands_print_holds_a_password_or_a_hash(operator: Operator, anna: Session, acme: str) -> None:
    printed = "".join(
        operator.done(*words.split())
        for words in ("organizations list --json", f"users list {acme}", f"users list {acme} --json", "status --json")
    )
    assert "anna" in printed
    assert "$2b$" not in printed
    assert anna.token not in printed
    assert not [password for _, password in USERS.values() if password in printed]
