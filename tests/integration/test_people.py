"""Two who act at the same moment, where transactions are those of the emulator."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from chalicelib.accounts import people
from chalicelib.accounts import users as accounts
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import LastOwner
from chalicelib.kernel.permissions import Role
from chalicelib.wiring import Stores
from tests.integration.conftest import Tenant

ROUNDS = 8


def test_two_owners_who_demote_each_other_leave_one(tenant: Tenant, stores: Stores) -> None:
    first = stores.users.find_by_username(tenant.username)
    assert first is not None
    second = accounts.create_user(
        stores, tenant.organization_id, f"{tenant.username}-2", "a long password", role=Role.OWNER
    )

    def demote(pair: tuple[Caller, Caller]) -> bool:
        try:
            people.change_person(stores, pair[0], pair[1].user_id, role=Role.MEMBER)
        except LastOwner:
            return False
        return True

    for _ in range(ROUNDS):
        with ThreadPoolExecutor(2) as pool:
            pairs = [(first.caller, second.caller), (second.caller, first.caller)]
            assert sorted(pool.map(demote, pairs)) == [False, True]
        organization = stores.organizations.find(tenant.organization_id)
        assert organization is not None
        assert organization.owners == 1
        for user in (first, second):
            accounts.set_role(stores, user.username, Role.OWNER)
