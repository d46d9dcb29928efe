"""Parts of the real thing away, slow, broken or killed, while users upload: what was answered 201 ends completed.

The API and the consumer run as `make up` runs them, with a proxy between them and the emulator. FAULTS_LONG=1 makes the
outages as long as real ones: a minute, two hundred uploads.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from chalicelib.accounts import users as accounts
from chalicelib.files.recounting import recount
from chalicelib.health.probes import PATIENCE_SECONDS as HEALTH_PATIENCE_SECONDS
from chalicelib.kernel.config import load
from chalicelib.tenants import organizations as tenants
from chalicelib.wiring import Stores
from infra.local import emulator
from infra.local.cache import start_cache
from infra.local.keys import KeyFile
from infra.local.processes import HOST, Child, answers, free_port
from infra.local.stack import create_data_plane, functions_environment
from tests.faults.fleet import CLIENT_TIMEOUT_SECONDS, Fleet, HealthWatch, User
from tests.faults.proxy import Proxy, Trouble
from tests.integration.conftest import Output, await_condition, start_part

LONG = bool(os.environ.get("FAULTS_LONG"))
OUTAGE_SECONDS = 60.0 if LONG else 2.5
LEAST_ACCEPTED = 200 if LONG else 20
#: Longer than any attempt here takes, shorter than anybody wants to wait for a test.
LEASE_SECONDS = 4
SETTLE_SECONDS = 120.0 if LONG else 40.0
#: Out of the way.
LIMITS = ("RATE_LIMIT_LOGIN_PER_ADDRESS", "RATE_LIMIT_UPLOADS", "RATE_LIMIT_ANONYMOUS", "RATE_LIMIT_SIGNED_IN")
PASSWORD = "correct horse battery"
#: On top of the time that /health gives its probes: a busy machine, another request in the way.
HEALTH_SLACK_SECONDS = 2.0


@dataclass
class Site:
    """Emulator, proxy, Valkey, API and consumer."""

    folder: Path
    aws_port: int
    cache_port: int
    api_port: int
    proxy: Proxy
    #: Of each part.
    environments: dict[str, dict[str, str]]
    stores: Stores
    output: Output
    parts: dict[str, Child]

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.api_port}"

    def start(self, name: str) -> None:
        if name == "aws":
            self.parts[name] = emulator.start_emulator(self.aws_port, self.folder / "aws", self.output.take)
            await_condition(lambda: emulator.is_ready(self.aws_port), "the emulator's health")
        elif name == "cache":
            self.parts[name] = start_cache(self.cache_port, self.folder / "cache", self.output.take)
            await_condition(lambda: answers(self.cache_port), "Valkey listening")
        else:
            self.parts[name] = start_part(name, self.environments[name], self.output)

    def await_api(self) -> None:
        await_condition(lambda: answers(self.api_port), "the API listening")

    def fleet(self, count: int = 4) -> Fleet:
        """Users of two organisations."""
        users = []
        with httpx.Client(base_url=self.base_url, timeout=30) as client:
            for number in range(count):
                if number % 2 == 0:
                    organization = tenants.create_organization(self.stores, f"Organisation {number}")
                username = f"user-{uuid.uuid4().hex[:12]}"
                accounts.create_user(self.stores, organization.organization_id, username, PASSWORD)
                answer = client.post("/auth/login", json={"username": username, "password": PASSWORD})
                assert answer.status_code == 200, answer.text
                token = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
                users.append(User(self.base_url, organization.organization_id, token))
        return Fleet(users)

    def check(self, fleet: Fleet) -> None:
        """All that was accepted is completed and can be downloaded; the counters are exact; every answer was ours."""
        assert not fleet.strange
        assert fleet.slowest_seconds < CLIENT_TIMEOUT_SECONDS
        wrong = fleet.settle(self.stores, SETTLE_SECONDS)
        assert not wrong, f"{len(wrong)} of {len(fleet.accepted)} lost: {wrong[:5]}; answers {fleet.answers}"
        for organization_id in {user.organization_id for user in fleet.users}:
            assert not recount(self.stores, organization_id).differences
        with httpx.Client(base_url=self.base_url, follow_redirects=True, timeout=30) as client:
            for file_id, (user, sha256) in random.Random(1).sample(sorted(fleet.accepted.items()), 10):
                found = client.get(f"/files/{file_id}/content", headers={"Authorization": f"Bearer {user.token}"})
                assert fleet.digest(found.content) == sha256, found.status_code


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("outages")
    output = Output()
    aws_port, cache_port, api_port = free_port(), free_port(), free_port()
    proxy = Proxy(aws_port)
    proxy.start()
    parts: dict[str, Child] = {}
    made = Site(folder, aws_port, cache_port, api_port, proxy, {}, None, output, parts)  # type: ignore[arg-type]
    try:
        made.start("cache")
        made.start("aws")
        data = create_data_plane(aws_port, cache_port, KeyFile(folder / "aws"), lambda line: None)
        clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        common = {
            **dict.fromkeys(LIMITS, "1000000/minute"),
            "BCRYPT_COST": "4",
            "PROCESSING_LEASE_SECONDS": str(LEASE_SECONDS),
            "SWEEP_INTERVAL_SECONDS": "100000",
            "API_PORT": str(api_port),
            "S3_PUBLIC_ENDPOINT_URL": emulator.endpoint(aws_port),
        }
        for name, key in data.parts.items():
            through_proxy = functions_environment(data.outputs, proxy.port, cache_port, key, base=clean)
            made.environments[name] = {**through_proxy, **common}
        direct = {**functions_environment(data.outputs, aws_port, cache_port, data.operator, base=clean), **common}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in direct.items():
                patch.setenv(name, value)
            made.stores = Stores(load(direct))
            assert made.stores.organizations.is_reachable()
            made.start("api")
            made.start("consumer")
            made.await_api()
            yield made
    finally:
        for name in ("consumer", "api", "aws", "cache"):
            if name in parts:
                parts[name].stop()
        proxy.stop()


def test_the_cache_goes_and_comes_back(site: Site) -> None:
    """Uploads go on, counted in memory; /health says so; nobody has to restart anything."""
    fleet = site.fleet()
    health = HealthWatch(site.base_url, fleet.users[0].token)
    with health.watching(), fleet.uploading():
        time.sleep(1)
        site.parts["cache"].kill()
        time.sleep(OUTAGE_SECONDS)
        health.await_all("down", "cache")
        site.start("cache")
        health.await_all("up", "cache")
    assert health.states("database") == health.states("storage") == health.states("queue") == {"up"}
    assert set(fleet.answers) == {"201"}, fleet.answers
    assert health.slowest_seconds < HEALTH_PATIENCE_SECONDS + HEALTH_SLACK_SECONDS
    site.check(fleet)


@pytest.mark.parametrize(
    ("trouble", "services"),
    [
        (Trouble.THROTTLED, ("DynamoDB",)),
        (Trouble.BROKEN, ("S3",)),
        (Trouble.ANSWER_LOST, ("DynamoDB", "S3")),
    ],
    ids=["throttled tables", "broken storage", "lost answers"],
)
def test_a_service_in_trouble(site: Site, trouble: Trouble, services: tuple[str, ...]) -> None:
    """Half of its answers are no use (a twentieth, where each costs a time-out)."""
    fleet = site.fleet()
    health = HealthWatch(site.base_url, fleet.users[0].token)
    share = 0.05 if trouble is Trouble.ANSWER_LOST else 0.5
    with health.watching(), fleet.uploading():
        with site.proxy.troubles(trouble, *services, share=share):
            time.sleep(OUTAGE_SECONDS)
        await_condition(lambda: len(fleet.accepted) >= LEAST_ACCEPTED, "enough accepted uploads")
    assert site.proxy.troubled
    assert health.slowest_seconds < HEALTH_PATIENCE_SECONDS + HEALTH_SLACK_SECONDS
    site.check(fleet)


def test_the_queue_is_unreachable(site: Site) -> None:
    """S3 announces uploads all the same; what waits is the consumer."""
    fleet = site.fleet()
    health = HealthWatch(site.base_url, fleet.users[0].token)
    with health.watching(), fleet.uploading():
        with site.proxy.troubles(Trouble.REFUSED, "SQS"):
            time.sleep(OUTAGE_SECONDS)
            health.await_all("down", "queue")
        health.await_all("up", "queue")
    assert health.states("database") == health.states("storage") == {"up"}
    assert set(fleet.answers) == {"201"}, fleet.answers
    site.check(fleet)


@pytest.mark.parametrize("trouble", [Trouble.REFUSED, Trouble.SILENT], ids=["refused", "silent"])
def test_all_of_aws_is_unreachable_in_the_middle_of_uploads(site: Site, trouble: Trouble) -> None:
    fleet = site.fleet()
    health = HealthWatch(site.base_url, fleet.users[0].token)
    with health.watching(), fleet.uploading():
        await_condition(lambda: len(fleet.accepted) >= LEAST_ACCEPTED / 2, "half of the uploads")
        said = len(site.output.lines)
        with site.proxy.troubles(trouble):
            time.sleep(OUTAGE_SECONDS)
            health.await_all("down", "database")
            await_condition(
                lambda: any("Down: database, storage, queue" in line for line in site.output.lines[said:]),
                "the log that names what is down, and not the cache",
            )
        await_condition(lambda: len(fleet.accepted) >= LEAST_ACCEPTED, "the other half")
        health.await_all("up", "database", "storage", "queue")
    assert health.slowest_seconds < HEALTH_PATIENCE_SECONDS + HEALTH_SLACK_SECONDS
    site.check(fleet)


def test_the_emulator_is_stopped_and_started_again(site: Site) -> None:
    """It saves its state on a clean stop."""
    fleet = site.fleet()
    with fleet.uploading():
        await_condition(lambda: len(fleet.accepted) >= LEAST_ACCEPTED / 2, "half of the uploads")
        with site.proxy.troubles(Trouble.REFUSED):
            # What is under way gets its answer: a machine that is shut down does not take new requests first.
            time.sleep(0.5)
            site.parts["aws"].stop()
            site.start("aws")
        await_condition(lambda: len(fleet.accepted) >= LEAST_ACCEPTED, "the other half")
    site.check(fleet)


def test_api_and_consumer_are_killed_again_and_again(site: Site) -> None:
    fleet = site.fleet()
    choose = random.Random(3)
    with fleet.uploading():
        for _ in range(20 if LONG else 5):
            time.sleep(choose.uniform(0.2, 0.7))
            name = choose.choice(["api", "consumer"])
            site.parts[name].kill()
            site.start(name)
            site.await_api()
        await_condition(lambda: len(fleet.accepted) >= LEAST_ACCEPTED, "enough accepted uploads")
    site.check(fleet)
