"""GET /health."""

from __future__ import annotations

import pytest

from chalicelib.health.probes import PATIENCE_SECONDS
from tests.aws_calls import aws_calls, unreachable
from tests.unit.api import Api, Session
from tests.unit.cloud import PERMANENT_BUCKET
from tests.unit.conftest import Configure
from tests.unit.contract import ISO_UTC, check_headers, check_success
from tests.unit.logbook import Logbook
from tests.unit.world import World

ALL = {"database", "storage", "queue", "cache"}


def test_anonymous_asker_is_told_up_or_down_only(any_api: Api) -> None:
    answer = any_api.get("/health")
    check_success(answer)
    assert set(answer.json) == {"status", "time"}
    assert answer.json["status"] == "healthy"
    assert ISO_UTC.fullmatch(answer.json["time"])


def test_live_session_is_told_the_state_of_each_dependency(api: Api, anna: Session) -> None:
    answer = api.get("/health", anna)
    check_success(answer)
    assert answer.json["dependencies"] == dict.fromkeys(ALL, "up")


@pytest.mark.parametrize("token", ["", "nobody's", "x" * 1000])
def test_token_of_no_session_is_told_no_more_than_none(api: Api, token: str) -> None:
    answer = api.get("/health", headers={"Authorization": f"Bearer {token}"})
    assert (answer.status, set(answer.json)) == (200, {"status", "time"})


def test_backends_are_asked_at_a_bounded_rate(api: Api) -> None:
    with aws_calls() as calls:
        api.get("/health")
        asked = len(calls)
        for _ in range(5):
            api.get("/health")
    assert asked > 0
    assert len(calls) == asked


def test_what_is_down_is_logged_while_nobody_can_be_recognised(
    api: Api, anna: Session, unhurried: None, logbook: Logbook
) -> None:
    with unreachable("dynamodb"):
        answer = api.get("/health", anna)
    assert (answer.status, set(answer.json)) == (503, {"status", "time"})
    assert "Down: database" in logbook.messages


@pytest.mark.parametrize(("away", "name"), [("s3", "storage"), ("sqs", "queue")])
def test_what_is_away_is_named(api: Api, anna: Session, unhurried: None, away: str, name: str) -> None:
    with unreachable(away):
        answer = api.get("/health", anna)
    assert answer.status == 503
    check_headers(answer)
    assert "error" not in answer.json
    assert answer.json["status"] == "unhealthy"
    assert answer.json["dependencies"] == {**dict.fromkeys(ALL, "up"), name: "down"}


def test_one_missing_bucket_is_storage_down(api: Api, anna: Session, world: World) -> None:
    world.s3.delete_bucket(Bucket=PERMANENT_BUCKET)
    assert api.get("/health", anna).json["dependencies"]["storage"] == "down"


def test_cache_that_does_not_answer_is_down(
    api: Api, anna: Session, configure: Configure, socket_enabled: None
) -> None:
    """On a port of this machine where nothing listens."""
    configure(CACHE_URL="redis://127.0.0.1:1/0")
    answer = api.get("/health", anna)
    assert (answer.status, answer.json["dependencies"]["cache"]) == (503, "down")


def test_health_tells_nothing_about_the_inside(api: Api, unhurried: None) -> None:
    with unreachable("dynamodb"):
        body = api.get("/health").body
    for word in (b"strongroom-test", b"away.example", b"Endpoint", b"amazonaws"):
        assert word not in body


def test_answer_is_due_before_a_monitor_gives_up() -> None:
    """Route 53's health checks wait two seconds for the status once they are connected."""
    assert 0 < PATIENCE_SECONDS <= 2
