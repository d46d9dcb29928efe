"""Names that can be taken for each other: by Unicode TS 39, under races, and for names from before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib import keys
from chalicelib.accounts import users as accounts
from chalicelib.accounts.rows import UsernameRow
from chalicelib.accounts.sessions import is_username, normalize_username
from chalicelib.kernel.errors import UsernameLooksTaken, UsernameTaken
from chalicelib.kernel.lookalikes import skeleton_of
from chalicelib.kernel.permissions import Role
from infra.migrations import m0005_claim_skeletons
from infra.migrations.runner import Context
from tests.unit.world import World

PASSWORD = "staple-battery-horse"
LOOK_ALIKES = [
    # Letters of Cyrillic and Greek, a dotless i, a full-width letter, a filler that nobody sees.
    ("paypal", "p\u0430ypal"),
    ("peter", "\u0440\u0435t\u0435r"),
    ("root", "r\u03bf\u03bft"),
    ("admin", "adm\u0131n"),
    ("admin", "\uff41dmin"),
    ("admin", "ad\u3164min"),
    ("b\u00fccher", "bu\u0308cher"),
    # ASCII alone.
    ("anna1", "annal"),
    ("bob0", "bobo"),
    ("marnie", "mamie"),
]


@pytest.mark.parametrize(("first", "second"), LOOK_ALIKES)
def test_look_alikes_have_one_skeleton_and_either_may_come_first(world: World, first: str, second: str) -> None:
    assert skeleton_of(normalize_username(first)) == skeleton_of(normalize_username(second))
    for older, newer in ((first, second), (second, first)):
        older_user = accounts.create_user(world.stores, world.organizations["Acme"].organization_id, older, PASSWORD)
        before = world.snapshot()
        with pytest.raises(UsernameTaken) as refused:
            accounts.create_user(world.stores, world.organizations["Bolt"].organization_id, newer, PASSWORD)
        assert "Acme" not in str(refused.value)
        assert older_user.username not in str(refused.value).replace(normalize_username(newer), "")
        assert world.snapshot() == before
        world.stores.users.remove(older_user, [])


@pytest.mark.parametrize(
    ("one", "other"), [("anna1", "anna2"), ("jos\u00e9", "jose"), ("anna.b", "anna-b"), ("vv", "w")]
)
def test_different_names_stay_free(world: World, one: str, other: str) -> None:
    acme = world.organizations["Acme"].organization_id
    for name in (one, other):
        accounts.create_user(world.stores, acme, name, PASSWORD)


def test_skeletons_of_the_whole_alphabet_are_stable() -> None:
    """The skeleton of a skeleton is itself, so that looking alike is the same in both directions."""
    for number in range(0x30000):
        name = normalize_username(chr(number))
        if is_username(name):
            assert skeleton_of(skeleton_of(name)) == skeleton_of(name), hex(number)


def test_key_is_short_however_long_the_skeleton_is() -> None:
    # Seventeen letters look like this one.
    key = keys.skeleton_key("\ufdfa" * 128)
    assert len(key) < 64
    assert not is_username(key)


def test_one_of_two_look_alikes_at_once_is_created(world: World) -> None:
    acme, bolt = (world.organizations[name].organization_id for name in ("Acme", "Bolt"))

    def create(wanted: tuple[str, str]) -> str:
        try:
            return accounts.create_user(world.stores, *wanted, PASSWORD, role=Role.MEMBER).username
        except UsernameLooksTaken:
            return "refused"

    for number in range(5):
        wanted = [(acme, f"c{number}arl"), (bolt, f"c{number}ar1")]
        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(create, wanted)).count("refused") == 1


def test_removed_name_leaves_its_looks_free(world: World) -> None:
    acme = world.organizations["Acme"].organization_id
    user = accounts.create_user(world.stores, acme, "carl", PASSWORD)
    names = len(world.rows("usernames"))
    world.stores.users.remove(user, [])
    assert len(world.rows("usernames")) == names - 2
    accounts.create_user(world.stores, acme, "car1", PASSWORD)


def from_before(world: World, *usernames: str) -> None:
    """As a version without skeletons would have created them, in this order."""
    acme = world.organizations["Acme"].organization_id
    names = world.stores.tables.bind(UsernameRow)
    for username in usernames:
        accounts.create_user(world.stores, acme, username, PASSWORD, role=Role.MEMBER)
        names(keys.skeleton_key(username)).delete(add_version_condition=False)


def migrate(world: World) -> list[str]:
    told: list[str] = []
    m0005_claim_skeletons.apply(Context(world.stores, told.append, None, lambda _: None))
    return told


def test_names_from_before_are_protected_and_later_look_alikes_reported(world: World) -> None:
    from_before(world, "carl", "car1", "dora")
    told = migrate(world)
    assert [line for line in told if "looks like" in line] == [
        f"  car1 of organisation {world.organizations['Acme'].organization_id} looks like an older name"
    ]
    assert migrate(world) == told, "it can be repeated"
    with pytest.raises(UsernameLooksTaken):
        accounts.create_user(world.stores, world.organizations["Bolt"].organization_id, "d0ra", PASSWORD)


def test_removing_the_later_look_alike_keeps_the_first_ones_protection(world: World) -> None:
    from_before(world, "carl", "car1")
    migrate(world)
    for username, refused in (("car1", True), ("carl", False)):
        user = world.stores.users.find_by_username(username)
        assert user is not None
        world.stores.users.remove(user, [])
        bolt = world.organizations["Bolt"].organization_id
        if refused:
            with pytest.raises(UsernameLooksTaken):
                accounts.create_user(world.stores, bolt, "car1", PASSWORD)
        else:
            accounts.create_user(world.stores, bolt, "car1", PASSWORD)


def test_name_from_before_can_be_removed_before_the_migration(world: World) -> None:
    from_before(world, "carl")
    user = world.stores.users.find_by_username("carl")
    assert user is not None
    world.stores.users.remove(user, [])
    assert world.stores.users.claim_skeleton(user) is True
    accounts.create_user(world.stores, user.organization_id, "car1", PASSWORD)
