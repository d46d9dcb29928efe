"""Races for invitations and names on the real emulator, whose transactions are another program's than moto's."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from chalicelib.accounts import people
from chalicelib.accounts.records import User
from chalicelib.accounts.sign_up import sign_up
from chalicelib.invitations import logic as invitations
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.config import load
from chalicelib.kernel.errors import InvitationNotFound, InvitationWithdrawn, UsernameTaken
from chalicelib.kernel.permissions import Role
from chalicelib.wiring import Stores
from tests.integration.conftest import PASSWORD, Running, Tenant

ROUNDS = 5


def owner_of(stores: Stores, tenant: Tenant) -> User:
    user = stores.users.find_by_username(tenant.username)
    assert user is not None
    return user


def invited(stores: Stores, caller: Caller, role: Role = Role.MEMBER) -> str:
    return invitations.invite(stores, caller, invitations.Wanted(role)).token


def outcomes(*acts: Callable[[], object]) -> list[str]:
    """What each did, all of them at once: ``done``, or the refusal's name."""

    def attempt(act: Callable[[], object]) -> str:
        try:
            act()
        except (InvitationNotFound, InvitationWithdrawn, UsernameTaken) as refused:
            return type(refused).__name__
        return "done"

    with ThreadPoolExecutor(len(acts)) as pool:
        return sorted(pool.map(attempt, acts))


def test_of_several_acceptances_one_makes_a_user(tenant: Tenant, stores: Stores) -> None:
    owner = owner_of(stores, tenant)
    for number in range(ROUNDS):
        token = invited(stores, owner.caller)
        people_before = len(list(stores.users.of_organization(tenant.organization_id)))
        names = [f"{tenant.username}-{number}-{letter}" for letter in "bcdf"]

        def accept(name: str, token: str = token) -> object:
            return invitations.accept(stores, token, name, PASSWORD)

        results = outcomes(*(partial(accept, name) for name in names))
        assert results == ["InvitationNotFound"] * 3 + ["done"]
        assert len(list(stores.users.of_organization(tenant.organization_id))) == people_before + 1


def test_resent_while_it_is_accepted_only_one_of_the_two_counts(tenant: Tenant, stores: Stores) -> None:
    owner = owner_of(stores, tenant)
    for number in range(ROUNDS):
        sent = invitations.invite(stores, owner.caller, invitations.Wanted(Role.MEMBER))
        name = f"{tenant.username}-resent-{number}x"
        resent: list[str] = []

        def accept(token: str = sent.token, name: str = name) -> object:
            return invitations.accept(stores, token, name, PASSWORD)

        def resend(invitation_id: str = sent.invitation.invitation_id, resent: list[str] = resent) -> None:
            resent.append(invitations.resend(stores, owner.caller, invitation_id).token)

        assert outcomes(accept, resend) == ["InvitationNotFound", "done"]
        accepted = stores.users.find_by_username(name) is not None
        assert accepted == (resent == [])
        if resent:
            invitations.accept(stores, resent[0], name, PASSWORD)


def test_nobody_comes_in_by_an_inviter_who_was_demoted_before(tenant: Tenant, stores: Stores) -> None:
    owner = owner_of(stores, tenant)
    for number in range(ROUNDS):
        admin = invitations.accept(
            stores, invited(stores, owner.caller, Role.ADMIN), f"{tenant.username}-admin-{number}x", PASSWORD
        )
        token, name = invited(stores, admin.caller, Role.ADMIN), f"{tenant.username}-lifted-{number}x"

        def demote(admin: Caller = admin.caller) -> None:
            people.change_person(stores, owner.caller, admin.user_id, role=Role.VIEWER)

        def accept(token: str = token, name: str = name) -> object:
            return invitations.accept(stores, token, name, PASSWORD)

        assert outcomes(accept, demote) in (["done", "done"], ["InvitationWithdrawn", "done"])
        # Whichever was first: from now on the demoted one lets nobody in.
        if stores.users.find_by_username(name) is None:
            assert outcomes(accept) == ["InvitationWithdrawn"]


def test_of_two_sign_ups_with_one_name_or_look_one_makes_an_organization(
    running: Running, tenant: Tenant, stores: Stores
) -> None:
    opened = Stores(load({**running.machine.environment, "SIGN_UP": "open", "BCRYPT_COST": "4"}))
    for number in range(ROUNDS):
        before = {o.organization_id for o in stores.organizations.all()}
        names = [f"{tenant.username}-l{number}", f"{tenant.username}-1{number}", f"{tenant.username}-l{number}"]

        def create(name: str) -> object:
            return sign_up(opened, "Crew", name, PASSWORD)

        results = outcomes(*(partial(create, name) for name in names))
        assert results.count("done") == 1
        [made] = {o.organization_id for o in stores.organizations.all()} - before
        organization = stores.organizations.find(made)
        assert organization is not None
        assert organization.owners == 1
        assert len(list(stores.users.of_organization(made))) == 1
