"""The registry of functions says the same as app.py, and what reads it follows."""

from __future__ import annotations

from dataclasses import fields

import pytest
from chalice.app import Cron, DynamoDBEventConfig, Rate, ScheduledEventConfig, SQSEventConfig

import app
from chalicelib.kernel.config import Settings
from infra.functions import API, FUNCTIONS, PROCESS, QUEUES, SWEEP, by_handler
from infra.local.consumer import interval_seconds
from infra.local.identities import ROLES_OF_PARTS
from infra.local.lambda_events import LambdaContext
from infra.template import function_roles


def test_every_event_function_of_the_application_is_registered_and_no_other() -> None:
    declared = {source.name for source in app.app.event_sources}
    assert declared == {function.handler for function in FUNCTIONS} - {API.handler}
    assert not app.app.pure_lambda_functions


@pytest.mark.parametrize("source", app.app.event_sources, ids=lambda source: source.name)
def test_trigger_of_the_decorator_is_the_one_of_the_registry(source: object) -> None:
    assert isinstance(source, SQSEventConfig | ScheduledEventConfig | DynamoDBEventConfig)
    function = by_handler(source.name)
    assert (function.queue is not None) == isinstance(source, SQSEventConfig)
    assert (function.stream is not None) == isinstance(source, DynamoDBEventConfig)
    if isinstance(source, DynamoDBEventConfig):
        assert source.stream_arn == function.stream, "the template puts the stream's own name in its place"
        assert source.starting_position == "TRIM_HORIZON", "or what is written during a deployment would be missed"


def test_names_and_ids_are_apart() -> None:
    for attribute in ("name", "handler", "logical_id", "role", "logs"):
        assert len({getattr(function, attribute) for function in FUNCTIONS}) == len(FUNCTIONS), attribute


def test_roles_of_the_functions_are_those_of_the_template() -> None:
    assert {function.role for function in FUNCTIONS} <= set(function_roles())
    assert set(ROLES_OF_PARTS) == {"api", "consumer"}
    assert ROLES_OF_PARTS["api"] == ("ApiRole",), "its key may do no more than the API on AWS"
    assert set(ROLES_OF_PARTS["consumer"]) == {function.role for function in FUNCTIONS} - {"ApiRole"}


def test_queues_are_settings() -> None:
    names = {field.name for field in fields(Settings)}
    assert {name for queue in QUEUES for name in (queue.setting, queue.dead_letters)} <= names


def test_context_is_that_of_the_function() -> None:
    context = LambdaContext("id", SWEEP)
    assert (context.function_name, context.memory_limit_in_mb) == ("sweep", SWEEP.memory_mb)
    assert context.get_remaining_time_in_millis() == SWEEP.timeout_seconds * 1000
    assert LambdaContext("id").function_name == PROCESS.handler


@pytest.mark.parametrize(("unit", "seconds"), [(Rate.MINUTES, 120), (Rate.HOURS, 7200), (Rate.DAYS, 172_800)])
def test_local_schedule_is_that_of_the_decorator(monkeypatch: pytest.MonkeyPatch, unit: str, seconds: int) -> None:
    monkeypatch.delenv("SWEEP_INTERVAL_SECONDS", raising=False)
    source = ScheduledEventConfig("sweep", "app.sweep", Rate(2, unit=unit), "")
    assert interval_seconds(source, SWEEP) == seconds
    monkeypatch.setenv("SWEEP_INTERVAL_SECONDS", "1.5")
    assert interval_seconds(source, SWEEP) == 1.5


def test_schedule_that_the_local_stack_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWEEP_INTERVAL_SECONDS", raising=False)
    source = ScheduledEventConfig("sweep", "app.sweep", Cron("0", "3", "*", "*", "?", "*"), "")
    with pytest.raises(TypeError, match="sweep has no rate"):
        interval_seconds(source, SWEEP)
