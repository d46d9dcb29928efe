"""Time-outs and retries of every client, against the time that the functions have.

Measured and not added up by hand: from each call of a request on, everything hangs until the client gives up, on the
virtual clock. The answer must still come before the gateway stops waiting.
"""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.files.rows import FileRow
from chalicelib.platform import rate_counters
from chalicelib.platform.tables import Tables
from chalicelib.sweep.sweeping import MAX_ERRORS
from infra.functions import by_handler
from tests.faults import cloud as aws
from tests.faults.crash_points import prepare
from tests.faults.lab import Lab
from tests.faults.scenarios import SCENARIOS
from tests.faults.steps import put_directly
from tests.faults.wire import Call, Mode

#: API Gateway's, which can't be raised for a regional API without a request to AWS.
GATEWAY_SECONDS = 29
_OTHER_FUNCTIONS = (
    *("process", "give-up", "sweep", "publish", "keep-up"),
    *(f"webhook-{what}" for what in ("wake", "deliver", "fail", "retry", "gone", "sweep")),
)
API = [key for key in SCENARIOS if not key.startswith(_OTHER_FUNCTIONS)]


def function_timeout_seconds(name: str) -> int:
    return by_handler(name).timeout_seconds


def longest_seconds(lab: Lab, key: str, away: tuple[str, ...]) -> tuple[float, str]:
    """Of all requests in which, from some call on, every call to one of these services hangs."""
    ready = prepare(lab, SCENARIOS[key])
    longest, where = 0.0, ""
    for position, name in enumerate(ready.points):
        if not name.startswith(away):
            continue

        def hangs(call: Call, position: int = position) -> Mode | None:
            return Mode.HANGS if call.position >= position and call.name.startswith(away) else None

        lab.start_over(ready.state)
        before = lab.clock.spent_seconds
        with lab.wire.watched(hangs):
            SCENARIOS[key].act(lab, ready.subject)
        spent = lab.clock.spent_seconds - before
        if spent > longest:
            longest, where = spent, name
    return longest, where


@pytest.mark.parametrize(
    "away", [("DynamoDB",), ("S3", "SQS"), ("Redis",), ("DynamoDB", "S3", "SQS", "Redis")], ids=str
)
def test_the_api_answers_before_the_gateway_gives_up(lab: Lab, away: tuple[str, ...]) -> None:
    limit = function_timeout_seconds("api_handler")
    assert limit < GATEWAY_SECONDS
    for key in API:
        spent, where = longest_seconds(lab, key, away)
        assert spent < limit - 1, f"{key}: {spent:.1f} s when {', '.join(away)} hang from {where} on"


@pytest.mark.parametrize("key", ["process", "process-unverified", "give-up"])
def test_processing_fails_before_its_function_is_ended(lab: Lab, key: str) -> None:
    spent, where = longest_seconds(lab, key, ("DynamoDB", "S3", "SQS"))
    assert spent < function_timeout_seconds("process_uploads") - 10, f"{spent:.1f} s when all hang from {where} on"


def test_one_sweep_of_an_outage_fits_its_function(lab: Lab) -> None:
    spent, where = longest_seconds(lab, "sweep", ("DynamoDB", "S3", "SQS"))
    assert spent < function_timeout_seconds("sweep") - 10, f"{spent:.1f} s when all hang from {where} on"


def clients(lab: Lab) -> dict[str, Any]:
    stores: Any = lab.stores
    assert isinstance(stores.tables, Tables)
    return {
        "objects": stores.objects._s3,
        "objects, reading": stores.objects._reader,
        "objects, copying": stores.objects._copier,
        "direct uploads": stores.direct_uploads._s3,
        "queue": stores.queue._sqs,
        "tables": stores.tables.connection.client,
        "tables, by model": stores.tables.bind(FileRow)._get_connection().connection.client,
    }


# A copy's answer comes when S3 has copied; a stream may stand still while its store is busy. All else is soon.
LONGEST_READ_SECONDS = {"objects, copying": 300, "objects, reading": 60}


def test_every_client_has_time_outs_and_retries_of_its_own(lab: Lab) -> None:
    for name, client in clients(lab).items():
        config = client.meta.config
        assert config.connect_timeout <= 2, name
        assert config.read_timeout <= LONGEST_READ_SECONDS.get(name, 10), name
        attempts = config.retries.get("total_max_attempts") or config.retries["max_attempts"] + 1
        assert 2 <= attempts <= 3, f"{name}: {config.retries}"


def test_the_cache_is_given_up_at_once(lab: Lab) -> None:
    """The default of the client would be three retries with back-off, for every request of an outage."""
    counters: Any = lab.stores.counters
    settings = counters._cache.storage.connection_pool.connection_kwargs
    assert settings["socket_connect_timeout"] == settings["socket_timeout"] == rate_counters.CACHE_TIMEOUT_SECONDS
    assert settings["retry"].get_retries() == 0


def test_a_sweep_with_much_to_do_gives_up_in_time_when_storage_hangs(lab: Lab) -> None:
    """Each item would hang, and all of them for longer than there is; after some it is no longer the items."""
    for number in range(3 * MAX_ERRORS):
        put_directly(lab, b"announcement lost", filename=f"{number}.txt")
    for message in lab.cloud.messages(aws.QUEUE):
        message.visible_at = float("inf")
    lab.clock.forward(3600)
    before = lab.clock.spent_seconds
    with lab.wire.watched(lambda call: Mode.HANGS if call.name.startswith("S3") else None):
        assert lab.sweep() is None
    spent = lab.clock.spent_seconds - before
    assert spent < function_timeout_seconds("sweep") - 10, f"{spent:.1f} s"
