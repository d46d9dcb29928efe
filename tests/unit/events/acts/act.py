"""An act: a request, what it needs to be there, and the events that it has to write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import time_machine

from chalicelib.accounts import users as accounts
from chalicelib.kernel.permissions import Role
from tests.unit.api import Answer, Api, Session
from tests.unit.authenticator import STEP_SECONDS, Authenticator, set_up
from tests.unit.world import World

PROGRAM = "acts/1"
PASSWORD = "staple-battery-horse"
#: Of a field whose value is another in each run.
ANY = object()


@dataclass(frozen=True)
class Told:
    """One event: its type, the type of its target, who acted, and what changed from what to what."""

    type: str
    target: str
    actor: str = "user"
    changes: dict[str, tuple[Any, Any]] | None = None
    #: Some of its data.
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What is sent. ``session``: None for nobody."""

    method: str
    path: str
    session: Session | None = None
    json_body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    #: What else must be in no event.
    secrets: tuple[str, ...] = ()


@dataclass
class Scene:
    """Acme with Anna, an owner, signed in; and a clock that stands."""

    api: Api
    world: World
    anna: Session
    clock: time_machine.Traveller
    secrets: list[str]

    def send(self, request: Request) -> Answer:
        self.secrets += request.secrets
        return self.api.request(
            request.method,
            request.path,
            session=request.session,
            headers={"User-Agent": PROGRAM, **request.headers},
            json_body=request.json_body,
            body=request.body,
        )

    def somebody(self, role: Role = Role.MEMBER, *, sessions: int = 1) -> Session:
        """Another user of Acme, with so many sessions."""
        organization_id = self.anna.caller.organization_id
        user = accounts.create_user(self.world.stores, organization_id, f"some-{role}", PASSWORD, role=role)
        self.secrets.append(PASSWORD)
        token = ""
        for _ in range(sessions):
            token = self.api.login(user.username, PASSWORD).token
        return Session(user.username, PASSWORD, token, user.caller)

    def second_factor(self, session: Session) -> Authenticator:
        """Of this user, whose next code is a fresh one."""
        made = set_up(self.api, session)
        self.clock.shift(STEP_SECONDS)
        self.secrets += [made.secret, *made.recovery_codes]
        return made

    def uploaded(self, *, status: str = "pending") -> str:
        file_id: str = self.api.upload(self.anna).json["id"]
        if status == "completed":
            self.world.drain()
        return file_id

    def made(self, path: str, **body: Any) -> Any:
        """What a POST by Anna answers."""
        answer = self.api.post(path, self.anna, json_body=body)
        assert answer.status in (200, 201), answer.body
        return answer.json


Make = Callable[[Scene], Request]


@dataclass(frozen=True)
class Act:
    """:param route: method and path as the route is told."""

    route: str
    name: str
    status: int
    told: tuple[Told, ...]
    make: Make

    def __str__(self) -> str:
        return f"{self.route} {self.name}"


@dataclass
class Acts:
    """The acts of one subject."""

    acts: list[Act] = field(default_factory=list)

    def on(self, route: str, status: int, *told: Told) -> Callable[[Make], Make]:
        """Add an act. Without ``told`` it has to leave no event, refused or not."""

        def add(make: Make) -> Make:
            self.acts.append(Act(route, make.__name__, status, told, make))
            return make

        return add
