"""GET /health."""

from __future__ import annotations

import pytest

from chalicelib.health.probes import PATIENCE_SECONDS
from tests.unit.api import Api
from tests.unit.calls import unreachable
from tests.unit.cloud import PERMANENT_BUCKET
from tests.unit.conftest import Configure
from tests.unit.contract import ISO_UTC, check_headers, check_success
from tests.unit.world import World

ALL = {"database", "storage", "queue", "cache"}


def test_all_is_well(any_api: Api) -> None:
    answer = any_api.get("/health")
    check_success(answer)
    assert set(answer.json) == {"status", "dependencies", "time"}
    assert answer.json["status"] == "healthy"
    assert answer.json["dependencies"] == dict.fromkeys(ALL, "up")
    assert ISO_UTC.fullmatch(answer.json["time"])


@pytest.mark.parametrize(("away", "name"), [("dynamodb", "database"), ("s3", "storage"), ("sqs", "queue")])
def test_what_is_away_is_named(any_api: Api, unhurried: None, away: str, name: str) -> None:
    with unreachable(away):
        answer = any_api.get("/health")
    assert answer.status == 503
    check_headers(answer)
    assert "error" not in answer.json
    assert answer.json["status"] == "unhealthy"
    assert answer.json["dependencies"] == {**dict.fromkeys(ALL, "up"), name: "down"}


def test_one_missing_bucket_is_storage_down(api: Api, world: World) -> None:
    world.s3.delete_bucket(Bucket=PERMANENT_BUCKET)
    assert api.get("/health").json["dependencies"]["storage"] == "down"


def test_cache_that_does_not_answer_is_down(api: Api, configure: Configure, socket_enabled: None) -> None:
    """On a port of this machine where nothing listens."""
    configure(CACHE_URL="redis://127.0.0.1:1/0")
    answer = api.get("/health")
    assert (answer.status, answer.json["dependencies"]["cache"]) == (503, "down")


def test_health_tells_nothing_about_the_inside(api: Api, unhurried: None) -> None:
    with unreachable("dynamodb"):
        body = api.get("/health").body
    for word in (b"strongroom-test", b"away.example", b"Endpoint", b"amazonaws"):
        assert word not in body


def test_answer_is_due_before_a_monitor_gives_up() -> None:
    """Route 53's health checks wait two seconds for the status once they are connected."""
    assert 0 < PATIENCE_SECONDS <= 2
