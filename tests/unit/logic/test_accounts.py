"""Organisations and users, as operators make them."""

from __future__ import annotations

import pytest

from chalicelib.accounts import users as accounts
from chalicelib.accounts.passwords import hash_password, password_matches
from chalicelib.kernel.errors import BadInput, UsernameTaken
from chalicelib.tenants import organizations as tenants
from chalicelib.tenants.organization import Policy
from tests.unit.world import World


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("short", "at least 8"),
        ("", "at least 8"),
        ("x" * 73, "73"),
        ("ä" * 37, "74"),
        ("😀" * 19, "76"),
        ("nul\x00inside", "NUL"),
        ("password", "too easy"),
        ("PassWord", "too easy"),
        ("Password1!", "too easy"),
        ("2026-sunshine-2026", "too easy"),
        ("  qwertyuiop  ", "too easy"),
        ("12345678", "too easy"),
        ("abababababab", "too easy"),
        ("x" * 72, "too easy"),
    ],
)
def test_unusable_password_is_refused_with_the_reason(world: World, acme: str, password: str, sentence: str) -> None:
    before = world.snapshot()
    with pytest.raises(BadInput, match=sentence):
        accounts.create_user(world.stores, acme, "new", password)
    with pytest.raises(BadInput, match=sentence):
        accounts.set_password(world.stores, "anna", password)
    assert world.snapshot() == before


@pytest.mark.parametrize(
    "password", ["abcd" * 18, "äöüß" * 9, "😀🙃😇🤓" * 4, "  space  ", "password sunshine", "ünï cødé"]
)
def test_longest_and_oddest_passwords_work(password: str) -> None:
    hashed = hash_password(password, 4, "anna")
    assert password_matches(password, hashed, 4)
    assert not password_matches(password + "x", hashed, 4)
    assert not password_matches(password[:-1], hashed, 4)


def test_same_password_has_another_hash_each_time() -> None:
    hashes = [hash_password("a-good-password", 4, "anna") for _ in range(2)]
    assert hashes[0] != hashes[1]
    assert all(password_matches("a-good-password", hashed, 4) for hashed in hashes)


@pytest.mark.parametrize(
    "password", ["jane@example.com", "JANE@example.com", "jane@example.com2026!", "1jane@example.com"]
)
def test_username_is_no_password(world: World, acme: str, password: str) -> None:
    accounts.create_user(world.stores, acme, "Jane@Example.com", "a-good-password")
    with pytest.raises(BadInput, match="too easy"):
        accounts.set_password(world.stores, "Jane@Example.com", password)
    with pytest.raises(BadInput, match="too easy"):
        accounts.create_user(world.stores, acme, "Jane@Example.com", password)


def test_first_user_of_a_laptop_may_have_the_known_password(world: World, acme: str) -> None:
    with pytest.raises(BadInput, match="too easy"):
        accounts.create_user(world.stores, acme, "new", "password")
    user = accounts.create_user(world.stores, acme, "new", "password", guessable=True)
    assert world.stores.users.find_by_username("new") == user
    assert password_matches("password", user.password_hash, 4)


@pytest.mark.parametrize("name", ["anna", "ANNA", "  Anna  ", "berta"])
def test_username_is_taken_over_all_organizations(world: World, acme: str, name: str) -> None:
    before = world.snapshot()
    with pytest.raises(UsernameTaken, match="taken"):
        accounts.create_user(world.stores, acme, name, "a-good-password")
    assert world.snapshot() == before


@pytest.mark.parametrize("name", ["", "   ", "a b", "a/b", "x" * 129, "a\nb", "a\x00b", "😀", "a#b", "<b>"])
def test_unusable_username_is_refused(world: World, acme: str, name: str) -> None:
    with pytest.raises(BadInput, match="username"):
        accounts.create_user(world.stores, acme, name, "a-good-password")


@pytest.mark.parametrize("name", ["a", "anna.maria@example.com", "x" * 128, "übung", "a+b-c_d"])
def test_usable_username_can_be_found(world: World, acme: str, name: str) -> None:
    accounts.create_user(world.stores, acme, name, "a-good-password")
    assert world.stores.users.find_by_username(name)


def test_user_of_no_organization_is_refused(world: World) -> None:
    with pytest.raises(BadInput, match="no organisation"):
        accounts.create_user(world.stores, "nowhere", "new", "a-good-password")


@pytest.mark.parametrize("name", ["", "  ", "x" * 201])
def test_unusable_organization_name_is_refused(world: World, name: str) -> None:
    with pytest.raises(BadInput):
        tenants.create_organization(world.stores, name)


@pytest.mark.parametrize("name", ["ghost", "", "a b", "x" * 5000])
def test_change_of_an_unknown_user_is_refused(world: World, name: str) -> None:
    with pytest.raises(BadInput, match="no user"):
        accounts.set_password(world.stores, name, "a-good-password")
    with pytest.raises(BadInput, match="no user"):
        accounts.set_disabled(world.stores, name, True)


def test_quota_moves_what_is_left_and_not_what_is_used(world: World, acme: str) -> None:
    tenants.set_quota(world.stores, acme, 100, 5)
    usage = world.organization().usage
    assert (usage.bytes_available, usage.files_available) == (100, 5)
    with pytest.raises(BadInput):
        tenants.set_quota(world.stores, acme, -1, 5)
    with pytest.raises(BadInput):
        tenants.create_organization(world.stores, "Negative", quota_files=-1)


@pytest.mark.parametrize(
    "policy",
    [
        Policy(allowed_types=("image",)),
        Policy(allowed_types=("*/*",)),
        Policy(refused_types=("image/",)),
        Policy(refused_types=("text/html; charset=x",)),
        Policy(max_file_bytes=0),
    ],
)
def test_unusable_policy_is_refused(world: World, acme: str, policy: Policy) -> None:
    with pytest.raises(BadInput):
        tenants.set_policy(world.stores, acme, policy)


@pytest.mark.parametrize(
    ("allowed", "refused", "mime_type", "welcome"),
    [
        ((), (), "text/html", True),
        ((), ("text/html",), "text/html", False),
        ((), ("text/*",), "text/html", False),
        ((), ("text/*",), "image/png", True),
        (("image/*",), (), "image/png", True),
        (("image/*",), (), "text/html", False),
        (("image/*",), ("image/svg+xml",), "image/svg+xml", False),
        (("text/plain",), (), "text/plain", True),
        (("text/plain",), (), "text/plainer", False),
    ],
)
def test_refused_wins_over_allowed(
    allowed: tuple[str, ...], refused: tuple[str, ...], mime_type: str, welcome: bool
) -> None:
    assert (Policy(allowed, refused).refusal_of(mime_type) is None) == welcome
