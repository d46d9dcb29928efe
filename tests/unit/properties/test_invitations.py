"""People of an organisation who do anything in any order: an owner stays, and nobody is lifted by somebody lower."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.accounts.records import User
from chalicelib.kernel.permissions import ROLE_SCOPES, Role, Scope
from tests.unit.api import Answer, Api, Session
from tests.unit.cloud import USERS
from tests.unit.world import World

PASSWORD = "staple-battery-horse"
VERBS = ("invite", "resend", "revoke", "accept", "role", "disable", "enable", "remove")
#: Who, does what, to whom or to which invitation, with which role.
steps = st.tuples(st.integers(0, 7), st.sampled_from(VERBS), st.integers(0, 7), st.sampled_from(list(Role)))


@dataclass
class Open:
    invitation_id: str
    token: str
    role: Role
    #: Who answers for it.
    by: str


@dataclass
class Crew:
    """What the people of Acme know of each other."""

    world: World
    api: Api
    sessions: list[Session]
    opened: list[Open] = field(default_factory=list)
    accepted: int = 0

    def users(self) -> dict[str, User]:
        organization_id = self.world.organizations["Acme"].organization_id
        return {user.user_id: user for user in self.world.stores.users.of_organization(organization_id)}

    def act(self, who: int, verb: str, what: int, role: Role) -> None:
        by, whom = (self.sessions[number % len(self.sessions)] for number in (who, what))
        before = self.users()
        actor = before.get(by.caller.user_id)
        if verb in ("invite", "resend", "revoke", "accept"):
            self._invitation(by, verb, what, role)
        elif verb == "remove":
            self.api.delete(f"/users/{whom.caller.user_id}", by)
        else:
            change = {"role": role.value} if verb == "role" else {"disabled": verb == "disable"}
            self.api.request("PATCH", f"/users/{whom.caller.user_id}", session=by, json_body=change)
        if verb != "accept":
            self._check_lifted(before, actor)
        after = self.users().values()
        assert sum(user.is_active_owner for user in after) == self.world.organization().owners >= 1

    def _invitation(self, by: Session, verb: str, what: int, role: Role) -> None:
        if verb == "invite":
            self._remember(self.api.post("/invitations", by, json_body={"role": role.value}), by)
            return
        if not self.opened:
            return
        known = self.opened[what % len(self.opened)]
        path = f"/invitations/{known.invitation_id}"
        if verb == "resend":
            answer = self.api.post(f"{path}/resend", by)
            if answer.status == 200:
                self.opened.remove(known)
                self._remember(answer, by)
        elif verb == "revoke":
            if self.api.delete(path, by).status == 204:
                self.opened.remove(known)
        else:
            self._accept(known)

    def _remember(self, answer: Answer, by: Session) -> None:
        if answer.status in (200, 201):
            told = answer.json
            self.opened.append(Open(told["id"], told["token"], Role(told["role"]), by.caller.user_id))

    def _accept(self, known: Open) -> None:
        username = f"crew-{self.accepted}-x"
        body = {"token": known.token, "username": username, "password": PASSWORD}
        answer = self.api.post("/invitations/accept", json_body=body)
        inviter = self.users().get(known.by)
        may = inviter is not None and not inviter.disabled and Scope.USERS_MANAGE in ROLE_SCOPES[inviter.role]
        if inviter is None or not may or not ROLE_SCOPES[known.role] <= ROLE_SCOPES[inviter.role]:
            assert (answer.status, answer.json["code"]) == (409, "invitation_withdrawn")
            return
        assert answer.status == 201, answer.body
        user = self.world.stores.users.find_by_username(username)
        assert user is not None
        assert user.role is known.role
        self.opened.remove(known)
        self.accepted += 1
        self.sessions.append(Session(username, PASSWORD, answer.token, user.caller))

    def _check_lifted(self, before: dict[str, User], actor: User | None) -> None:
        """Whoever has more than before got it from somebody who had it; and nobody is new."""
        for user_id, user in self.users().items():
            if user == before[user_id]:
                continue
            assert actor is not None
            assert not actor.disabled
            assert ROLE_SCOPES[user.role] <= ROLE_SCOPES[actor.role]
            assert ROLE_SCOPES[before[user_id].role] <= ROLE_SCOPES[actor.role]


@settings(max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "15")))
@given(st.lists(steps, min_size=5, max_size=25))
def test_no_sequence_of_calls_lifts_anybody_or_leaves_no_owner(
    world: World, api: Api, sequence: list[tuple[int, str, int, Role]]
) -> None:
    world.cloud.start_anew()
    world.restart()
    sessions = [Session(name, USERS[name][1], world.token(name), world.caller(name)) for name in ("anna", "albert")]
    crew = Crew(world, api, sessions)
    # So that most have somebody to begin with.
    crew.act(0, "invite", 0, Role.OWNER)
    crew.act(0, "accept", 0, Role.OWNER)
    crew.act(0, "invite", 0, Role.ADMIN)
    crew.act(0, "accept", 0, Role.ADMIN)
    for step in sequence:
        crew.act(*step)
