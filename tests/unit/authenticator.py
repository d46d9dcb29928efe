"""What a person has in the other hand: an authenticator, which is pyotp, and a clock that waits for the next code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pyotp
import time_machine

from tests.unit.api import Answer, Api, Session
from tests.unit.contract import check_success

STEP_SECONDS = 30


@contextmanager
def stopped_clock() -> Iterator[time_machine.Traveller]:
    """Time stands at the beginning of a step, and goes on when it is told to."""
    now = int(datetime.now(UTC).timestamp()) // STEP_SECONDS * STEP_SECONDS
    with time_machine.travel(datetime.fromtimestamp(now, UTC), tick=False) as clock:
        yield clock


@dataclass
class Authenticator:
    secret: str
    recovery_codes: list[str] = field(default_factory=list)

    def code(self, seconds: int = 0) -> str:
        """What it shows now, or showed or will show so many seconds away."""
        return pyotp.TOTP(self.secret).at(datetime.now(UTC), counter_offset=seconds // STEP_SECONDS)


def begin(api: Api, session: Session, **more: object) -> Answer:
    return api.post("/auth/second-factor/setup", session, json_body={"password": session.password, **more})


def confirm(api: Api, session: Session, code: str) -> Answer:
    return api.post("/auth/second-factor/confirm", session, json_body={"code": code})


def set_up(api: Api, session: Session) -> Authenticator:
    """A second factor of this user, whose code of this moment is used up."""
    begun = begin(api, session)
    check_success(begun)
    authenticator = Authenticator(begun.json["secret"])
    confirmed = confirm(api, session, authenticator.code())
    check_success(confirmed)
    authenticator.recovery_codes = confirmed.json["recovery_codes"]
    return authenticator


def challenge(api: Api, session: Session) -> str:
    """The first half of a login."""
    answer = api.login(session.username, session.password)
    check_success(answer)
    assert set(answer.json) == {"second_factor", "challenge"}
    return str(answer.json["challenge"])


def complete(api: Api, waiting: str, code: str, **more: object) -> Answer:
    return api.post("/auth/second-factor", json_body={"challenge": waiting, "code": code, **more})
