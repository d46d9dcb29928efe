"""Limits counted in a real Valkey: shared by all processes, and never gone when it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import redis

from infra.local.cache import cache_url, start_cache
from infra.local.processes import HOST, Child, answers, free_port
from tests.integration.conftest import PASSWORD, Machine, Running, await_condition, start_part

LOGINS_A_MINUTE = 5


class Limited:
    """Instances of the API with the product's own limits, and a Valkey of their own."""

    def __init__(self, machine: Machine, username: str, folder: Any, stack: contextlib.ExitStack) -> None:
        self._machine = machine
        self._username = username
        self._folder = folder
        self._stack = stack
        self._port = free_port()
        self.cache = self.start_cache()

    def start_cache(self) -> Child:
        self.cache = start_cache(self._port, self._folder, self._machine.output.take)
        self._stack.callback(self.cache.stop)
        await_condition(lambda: answers(self._port), "Valkey listening")
        return self.cache

    @property
    def valkey(self) -> Any:
        return redis.Redis(host=HOST, port=self._port)

    def start_api(self, **settings: str) -> httpx.Client:
        port = free_port()
        environment = {
            **{name: value for name, value in self._machine.environment.items() if "RATE_LIMIT" not in name},
            "CACHE_URL": cache_url(self._port),
            "API_PORT": str(port),
            **settings,
        }
        child = start_part("api", environment, self._machine.output)
        self._stack.callback(child.stop)
        await_condition(lambda: answers(port), "the API listening")
        return self._stack.enter_context(httpx.Client(base_url=f"http://{HOST}:{port}", timeout=30))

    def login(self, api: httpx.Client, password: str = PASSWORD) -> httpx.Response:
        return api.post("/auth/login", json={"username": self._username, "password": password})

    def logged(self, text: str, since: int = 0) -> bool:
        return any(text in line for line in self._machine.output.lines[since:])

    @property
    def lines(self) -> int:
        return len(self._machine.output.lines)


@pytest.fixture
def limited(running: Running, machine: Machine, tmp_path: Any) -> Iterator[Limited]:
    tenant = running.new_tenant()
    tenant.client.close()
    with contextlib.ExitStack() as stack:
        yield Limited(machine, tenant.username, tmp_path, stack)


def check_refused(answer: httpx.Response) -> None:
    assert answer.status_code == 429, answer.text
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["RateLimit-Limit"] == str(LOGINS_A_MINUTE)
    assert answer.headers["RateLimit-Remaining"] == "0"
    assert set(answer.json()) == {"error", "message", "code", "request_id"}


def statuses(count: int, ask: Callable[[], httpx.Response]) -> list[int]:
    return [ask().status_code for _ in range(count)]


def test_sixth_login_of_a_minute_is_refused_by_every_instance(limited: Limited) -> None:
    first, second = limited.start_api(), limited.start_api()
    remaining = []
    for number in range(LOGINS_A_MINUTE):
        answer = limited.login((first, second)[number % 2], "wrong" if number else PASSWORD)
        assert answer.status_code == (401 if number else 200)
        remaining.append(answer.headers["RateLimit-Remaining"])
    assert remaining == ["4", "3", "2", "1", "0"], "the instances count together"
    check_refused(limited.login(first))
    check_refused(limited.login(second))
    names = [key.decode() for key in limited.valkey.keys("*")]
    assert names
    assert not [name for name in names if limited._username in name], "names that people type make no keys"


def test_limits_survive_a_restart_of_the_api(limited: Limited) -> None:
    first = limited.start_api()
    assert statuses(LOGINS_A_MINUTE, lambda: limited.login(first)) == [200] * LOGINS_A_MINUTE
    check_refused(limited.login(limited.start_api()))


def test_login_stays_limited_while_the_cache_is_away_and_when_it_is_back(limited: Limited) -> None:
    api = limited.start_api()
    assert limited.login(api).status_code == 200
    assert limited.valkey.dbsize() > 0

    before = limited.lines
    limited.cache.kill()
    assert statuses(LOGINS_A_MINUTE, lambda: limited.login(api)) == [200] * LOGINS_A_MINUTE
    check_refused(limited.login(api))
    await_condition(lambda: limited.logged("The cache is away", before), "a warning in the log")
    assert api.get("/health").status_code == 503
    await_condition(lambda: limited.logged("Down: cache", before), "the log that names what is down")

    limited.start_cache()
    # The API asks for the cache again after a pause of seconds; then the fresh one counts from zero.
    await_condition(lambda: limited.login(api).status_code == 200, "counting in the cache again", 20)
    assert limited.valkey.dbsize() > 0
    await_condition(lambda: api.get("/health").status_code == 200, "everything up")
    await_condition(lambda: limited.login(api).status_code == 429, "the limit in the fresh cache", 20)


def test_outage_of_the_cache_does_not_slow_every_request(limited: Limited) -> None:
    api = limited.start_api(RATE_LIMIT_LOGIN_PER_ADDRESS="1000/minute")
    token = limited.login(api).headers["set-cookie"].partition(";")[0]
    before = limited.lines
    limited.cache.kill()
    answered = [api.get("/auth/me", headers={"Cookie": token}) for _ in range(20)]
    assert {answer.status_code for answer in answered} == {200}
    warnings = [line for line in limited._machine.output.lines[before:] if "The cache is away" in line]
    assert 1 <= len(warnings) <= 3, "the cache is asked once a pause, not once a request"


def test_uploads_are_limited_per_user(limited: Limited) -> None:
    api = limited.start_api()
    token = limited.login(api).headers["set-cookie"].partition(";")[0]

    def upload() -> httpx.Response:
        return api.post("/files", headers={"Cookie": token}, files={"file": ("a.txt", b"x")})

    assert statuses(10, upload) == [201] * 10
    refused = upload()
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) <= 60


def test_strangers_are_limited_per_address(limited: Limited) -> None:
    api = limited.start_api(RATE_LIMIT_ANONYMOUS="5/hour")
    assert statuses(6, lambda: api.get("/files")) == [401] * 5 + [429]


def test_guesses_at_the_same_moment_check_no_more_passwords_than_the_limit_allows(limited: Limited) -> None:
    """Each instance counts a failure before it checks the password, in the cache that all share."""
    wide = {"RATE_LIMIT_LOGIN_PER_ADDRESS": "1000/minute", "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS": "5/hour"}
    instances = [limited.start_api(**wide), limited.start_api(**wide)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: limited.login(instances[number % 2], f"guess {number}"), range(24)))
    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 19
    assert limited.login(instances[0]).status_code == 429


def test_success_gives_back_what_was_counted_as_a_failure(limited: Limited) -> None:
    wide = {"RATE_LIMIT_LOGIN_PER_ADDRESS": "1000/minute", "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS": "3/hour"}
    api = limited.start_api(**wide)
    assert statuses(6, lambda: limited.login(api)) == [200] * 6
    api.cookies.clear()
    assert statuses(4, lambda: limited.login(api, "wrong")) == [401] * 3 + [429]


def test_known_device_is_not_refused_for_the_failures_of_strangers(limited: Limited) -> None:
    wide = {"RATE_LIMIT_LOGIN_PER_ADDRESS": "1000/minute", "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS": "3/hour"}
    api = limited.start_api(**wide)
    device = limited.login(api).cookies["device"]
    api.cookies.clear()
    assert statuses(4, lambda: limited.login(api, "wrong")) == [401] * 3 + [429]
    assert limited.login(api).status_code == 429
    api.cookies.set("device", device)
    assert limited.login(api).status_code == 200
