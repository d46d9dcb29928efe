"""Fixtures of the unit tests. Nothing here opens a socket, waits, or patches code of ours."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, settings

from tests import aws_calls, faster, moto_gaps
from tests.roles import recording
from tests.unit.cloud import ENVIRONMENT, STACK, USERS, Cloud
from tests.unit.world import World

# Before anything makes a client or reads a setting.
for variable in [name for name in os.environ if name.startswith("AWS_")]:
    del os.environ[variable]
os.environ.update(ENVIRONMENT)
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
moto_gaps.fill_gaps()
aws_calls.listen_to_all_clients()
recording.listen(STACK)
faster.keep_clients()
faster.speed_up_moto()

from tests.unit.api import Api, Session  # noqa: E402
from tests.unit.event_form import check_form, made_by_hand, secrets_in  # noqa: E402
from tests.unit.logbook import Logbook, Watch, kept_in_place  # noqa: E402
from tests.unit.webhooks.lab import Lab, lab_of  # noqa: E402

# No deadline: the machine may be busy with other things. `HYPOTHESIS_EXAMPLES=10000` looks harder.
settings.register_profile(
    "unit",
    deadline=None,
    max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "60")),
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("unit")

Configure = Callable[..., None]
SignIn = Callable[..., Session]
#: Where the clock of a test stands at first.
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    yield cloud
    cloud.stop()


@pytest.fixture(autouse=True)
def no_network(socket_disabled: None) -> None:
    """A unit test that would talk to anything outside fails."""


@pytest.fixture(autouse=True)
def ids_of_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process gives no UUIDv7 that is before its last one; an earlier test may have been in the future."""
    monkeypatch.setattr("uuid6._last_v7_timestamp", None)


@pytest.fixture(autouse=True)
def no_new_action() -> Iterator[None]:
    """What a function needs for the first time has to be written down, and with it its role."""
    yield
    new = recording.seen() - recording.recorded()
    assert not new or recording.is_noting(), f"run make actions, and give the role what it needs: {sorted(new)}"


@pytest.fixture(autouse=True)
def logbook() -> Iterator[Logbook]:
    """Watches what each test of the suite logs: no secret may be in it, whatever the test is about."""
    with Watch() as logbook:
        logbook.secrets += [password for _, password in USERS.values()]
        yield logbook
    assert not logbook.leaks(), "a secret came out in the log"


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    logbook = item.funcargs.get("logbook") if isinstance(item, pytest.Function) else None
    with kept_in_place(logbook) if isinstance(logbook, Logbook) else nullcontext():
        return (yield)


def pytest_sessionfinish() -> None:
    recording.leave_notes()


@pytest.fixture
def world(cloud: Cloud, logbook: Logbook) -> Iterator[World]:
    """Two organisations with three users, and nothing else. Every event that a test has caused is looked at."""
    cloud.start_anew()
    world = World(cloud)
    world.restart()
    yield world
    world.restart()
    events = [event for event in world.written_events() if not made_by_hand(event)]
    check_form(events)
    assert not secrets_in(json.dumps(events, ensure_ascii=False), logbook.secrets), "a secret is in an event"


@pytest.fixture
def acme(world: World) -> str:
    """The id of the organisation."""
    return world.organizations["Acme"].organization_id


@pytest.fixture
def clock(world: World) -> Iterator[Any]:
    """Time that stands at START until the test moves it."""
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.fixture
def lab(world: World) -> Iterator[Lab]:
    """For webhooks: endpoints, their wake-ups, and time."""
    with lab_of(world) as lab:
        yield lab


@pytest.fixture
def configure(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Change settings, as a restart with another environment would."""

    def change(**variables: Any) -> None:
        for name, value in variables.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, str(value))
        world.restart()

    yield change
    monkeypatch.undo()
    world.restart()


@pytest.fixture
def api(world: World, logbook: Logbook) -> Api:
    return Api(world.cloud.chalice, logbook.secrets)


@pytest.fixture(params=["local", "gateway"])
def any_api(request: pytest.FixtureRequest, api: Api) -> Api:
    """Both ways in which a request can arrive."""
    api.transport = request.param
    return api


@pytest.fixture
def sign_in(world: World, api: Api) -> SignIn:
    def sign_in(username: str = "anna") -> Session:
        password = USERS[username][1]
        answer = api.login(username, password)
        assert answer.status == 200, answer.body
        return Session(username, password, answer.token, world.caller(username))

    return sign_in


@pytest.fixture
def signed_in(world: World, logbook: Logbook) -> SignIn:
    """As ``sign_in``, but with a session that was started once for the whole run."""

    def signed_in(username: str) -> Session:
        token = world.token(username)
        logbook.secrets.append(token)
        return Session(username, USERS[username][1], token, world.caller(username))

    return signed_in


@pytest.fixture
def anna(signed_in: SignIn) -> Session:
    """A user of Acme."""
    return signed_in("anna")


@pytest.fixture
def berta(signed_in: SignIn) -> Session:
    """A user of Bolt."""
    return signed_in("berta")


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits between attempts take no time; how long they would have been, in seconds."""
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    return waits
