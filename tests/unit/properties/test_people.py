"""Whatever owners, admins, members and viewers do to each other, in any order: an owner stays, and nobody is lifted
above who has lifted them."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from chalicelib.accounts import people
from chalicelib.accounts import users as accounts
from chalicelib.accounts.records import User
from chalicelib.kernel.errors import LastOwner, MissingPermission, UserNotFound
from chalicelib.kernel.permissions import ROLE_SCOPES, Role, Scope
from tests.unit.world import World

MAX_USERS = 6
WHO = st.integers(0, MAX_USERS - 1)
REFUSALS = (LastOwner, MissingPermission, UserNotFound)


class Organization(RuleBasedStateMachine):
    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.cloud.start_anew()
        self.world.restart()
        self.organization_id = self.world.organizations["Acme"].organization_id
        self.made = 0

    def users(self) -> list[User]:
        return list(self.world.stores.users.of_organization(self.organization_id))

    def actor(self, who: int) -> User | None:
        """Somebody who can sign in and manage people: the routes let nobody else through."""
        users = [user for user in self.users() if not user.disabled and user.caller.may(Scope.USERS_MANAGE)]
        return users[who % len(users)] if users else None

    def target(self, who: int) -> User:
        users = self.users()
        return users[who % len(users)]

    @rule(role=st.sampled_from(Role))
    def the_operator_makes_a_user(self, role: Role) -> None:
        if len(self.users()) < MAX_USERS:
            self.made += 1
            accounts.create_user(
                self.world.stores, self.organization_id, f"user{self.made}", "a long password", role=role
            )

    @rule(by=WHO, whom=WHO, role=st.none() | st.sampled_from(Role), disabled=st.none() | st.booleans())
    def change(self, by: int, whom: int, role: Role | None, disabled: bool | None) -> None:
        actor, target = self.actor(by), self.target(whom)
        if actor is None:
            return
        changes: dict[str, Any] = {"role": role, "disabled": disabled}
        try:
            changed = people.change_person(self.world.stores, actor.caller, target.user_id, **changes)
        except REFUSALS:
            assert self.world.stores.users.find(self.organization_id, target.user_id) == target, "refused, but changed"
            return
        assert ROLE_SCOPES[target.role] <= actor.caller.scopes, "somebody was changed who may do more"
        assert ROLE_SCOPES[changed.role] <= actor.caller.scopes, "somebody was lifted above who lifted them"

    @rule(by=WHO, whom=WHO)
    def remove(self, by: int, whom: int) -> None:
        actor, target = self.actor(by), self.target(whom)
        if actor is None:
            return
        try:
            people.remove_person(self.world.stores, actor.caller, target.user_id)
        except REFUSALS:
            return
        assert ROLE_SCOPES[target.role] <= actor.caller.scopes

    @invariant()
    def an_owner_stays_and_is_counted(self) -> None:
        owners = [user for user in self.users() if user.is_active_owner]
        assert owners
        assert self.world.organization().owners == len(owners)


def test_an_owner_stays_whatever_is_done(world: World) -> None:
    machine = type("Acme", (Organization,), {"world": world})
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=15, deadline=None))
