"""The AWS side of the unit tests, alive for the whole run, with two organisations in it.

Making a mock and its clients is what costs time, so all tests share one; each starts from a copy of what was
populated.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from chalice.test import Client

import app as application
from chalicelib import wiring
from chalicelib.accounts import sessions
from chalicelib.accounts import users as accounts
from chalicelib.kernel import config
from chalicelib.kernel.caller import Caller
from chalicelib.tenants import organizations as tenants
from chalicelib.tenants.organization import Organization
from tests.moto_aws import MotoAws, Names, backend_of_objects

Made = TypeVar("Made")

NAMES = Names("strongroom-test", "eu-central-1")
REGION = NAMES.region
STACK = NAMES.stack
TEMP_BUCKET, PERMANENT_BUCKET = NAMES.temp_bucket, NAMES.permanent_bucket
QUEUE, DEAD_LETTER_QUEUE = NAMES.queue, NAMES.dead_letter_queue

#: What the functions would find in their environment. bcrypt's cheapest cost; one test proves the default of 12.
ENVIRONMENT = {
    **{name: value for name, value in NAMES.environment().items() if name != "DEAD_LETTER_QUEUE_URL"},
    "COOKIE_SECURE": "false",
    # Out of the way of every test but those that are about them.
    "RATE_LIMIT_LOGIN_PER_ADDRESS": "1000/minute",
    "RATE_LIMIT_LOGIN_PER_USERNAME": "1000/hour",
    "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS": "1000000/hour",
    "RATE_LIMIT_LOGIN_PER_DEVICE": "1000000/hour",
    "RATE_LIMIT_PASSWORD": "1000000/hour",
    "RATE_LIMIT_TICKETS": "1000000/hour",
    "RATE_LIMIT_HEALTH": "1000000/hour",
    "RATE_LIMIT_UPLOADS": "1000/minute",
    "RATE_LIMIT_ANONYMOUS": "1000/hour",
    "RATE_LIMIT_SIGN_UP": "1000000/hour",
    "RATE_LIMIT_INVITATIONS": "1000000/hour",
}

#: username -> (organisation, password). No password is part of another, so that a leak of any can be seen.
USERS = {
    "anna": ("Acme", "correct-horse-anna"),
    "albert": ("Acme", "battery-staple-albert"),
    "berta": ("Bolt", "rosebud-berta-1941"),
}


class Cloud(MotoAws):
    def __init__(self) -> None:
        super().__init__(NAMES)
        self.chalice = Client(application.app)
        self._sessions: dict[str, tuple[str, Any, Any]] = {}
        self._remembered: dict[str, tuple[Any, Any, Any]] = {}
        self.callers: dict[str, Caller] = {}
        self.organizations = self._populate()
        self._populated = self.keep()

    def start_anew(self) -> None:
        """Back to the populated state."""
        self.rewind(self._populated)

    def _populate(self) -> list[Organization]:
        stores = wiring.Stores(config.settings(), tables=self.tables)
        organizations = {name: tenants.create_organization(stores, name) for name in ("Acme", "Bolt")}
        for username, (name, password) in USERS.items():
            user = accounts.create_user(stores, organizations[name].organization_id, username, password)
            self.callers[username] = user.caller
        self._start_sessions(stores)
        # What a test finds is what it has done.
        self.forget_events()
        return list(organizations.values())

    def remember(self, name: str, make: Callable[[], Made], tables: Sequence[str], buckets: bool = False) -> Made:
        """Make something once, and from then on only bring back what these tables, and the buckets, held then."""
        if name not in self._remembered:
            # Made once, so told once; no test is to depend on being the first.
            with self.without_events():
                made = make()
            rows = {table: self.backend_of_tables().tables[f"{STACK}-{table}"] for table in tables}
            self._remembered[name] = made, copy.deepcopy(rows), copy.deepcopy(backend_of_objects().buckets)
            return made
        made, rows, objects = self._remembered[name]
        for table, held in copy.deepcopy(rows).items():
            self.backend_of_tables().tables[f"{STACK}-{table}"] = held
        if buckets:
            backend_of_objects().buckets = copy.deepcopy(objects)
        return cast(Made, made)

    def forget_events(self) -> None:
        """Of the outbox and of its stream."""
        outbox = self._outbox()
        outbox.items.clear()
        outbox.stream_shard.items.clear()

    @contextmanager
    def without_events(self) -> Iterator[None]:
        """Of what happens within nothing is told."""
        outbox = self._outbox()
        items, records = copy.deepcopy(outbox.items), list(outbox.stream_shard.items)
        yield
        outbox.items, outbox.stream_shard.items[:] = items, records

    def _outbox(self) -> Any:
        return self.backend_of_tables().tables[f"{STACK}-event-outbox"]

    def bring_session(self, username: str) -> str:
        """The token of a session that was started before the first test, now live in the tables."""
        token, (organization_key, user_key, user), sessions = self._sessions[username]
        tables = self.backend_of_tables().tables
        tables[f"{STACK}-users"].items[organization_key][user_key] = copy.deepcopy(user)
        tables[f"{STACK}-sessions"].items.update(copy.deepcopy(sessions))
        for item in sessions:
            # Just used, however long ago the run has begun: the time to write that down has not come.
            tables[f"{STACK}-sessions"].items[item].attrs["used_at"].value = str(int(time.time()))
        return token

    def _start_sessions(self, stores: wiring.Stores) -> None:
        """One of each user, none of them left in the state that tests start from."""
        before = copy.deepcopy(self.backend_of_tables().tables)
        for username, (_, password) in USERS.items():
            token = sessions.login(stores, username, password).token
            tables = self.backend_of_tables().tables
            (row,) = [
                (organization_key, user_key, item)
                for organization_key, users in tables[f"{STACK}-users"].items.items()
                for user_key, item in users.items()
                if user_key.value == self.callers[username].user_id
            ]
            self._sessions[username] = token, copy.deepcopy(row), copy.deepcopy(tables[f"{STACK}-sessions"].items)
            self.backend_of_tables().tables = copy.deepcopy(before)
