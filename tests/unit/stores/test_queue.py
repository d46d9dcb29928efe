"""The contract of ``chalicelib.processing.ports.Queue``, on each side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from chalicelib import keys
from chalicelib.kernel.config import settings
from chalicelib.platform.outages import is_outage
from chalicelib.processing.announcements import MAX_RECEIVES, Message, uploaded_keys
from chalicelib.processing.ports import Queue
from chalicelib.wiring import Stores
from tests.unit.stores.sides import Side

ORGANIZATION = "0d3a2b6e-1111-4222-8333-444455556666"
FILE = "01890000-0000-7000-8000-000000000000"
KEY = keys.temp_key(ORGANIZATION, FILE)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def received(side: Side, seconds: float) -> list[Message]:
    """What the consumer gets so long after NOW."""
    with time_machine.travel(NOW + timedelta(seconds=seconds), tick=False):
        return side.messages.receive()


def announce(side: Side, delay_seconds: int = 0) -> None:
    with time_machine.travel(NOW, tick=False):
        side.queue.announce(ORGANIZATION, FILE, delay_seconds=delay_seconds)


def delay(side: Side, message: Message, at_seconds: float, seconds: int) -> None:
    with time_machine.travel(NOW + timedelta(seconds=at_seconds), tick=False):
        side.queue.delay(message.receipt_handle, seconds)


def test_announcement_and_arrival_are_read_alike(side: Side) -> None:
    stores = Stores(settings(), objects=side.objects)
    side.queue.announce(ORGANIZATION, FILE)
    side.storage.put(KEY, b"x")
    side.storage.put("a b+c%d/ü.txt", b"x")
    messages = side.messages.receive()
    assert [uploaded_keys(stores, message.body) for message in messages] == [[KEY], [KEY], ["a b+c%d/ü.txt"]]
    assert len({message.message_id for message in messages}) == 3


def test_message_is_given_once_until_it_is_shown_again(side: Side) -> None:
    announce(side)
    (message,) = received(side, 0)
    assert message.receives == 1
    assert received(side, 60) == []


@pytest.mark.parametrize("seconds", [1, 900])
def test_delayed_announcement_is_heard_later(side: Side, seconds: int) -> None:
    announce(side, delay_seconds=seconds)
    assert received(side, seconds - 0.5) == []
    assert len(received(side, seconds)) == 1


def test_delay_out_of_bounds_is_an_error_and_no_outage(side: Side) -> None:
    with pytest.raises(Exception, match="900") as refused:
        side.queue.announce(ORGANIZATION, FILE, delay_seconds=901)
    assert not is_outage(refused.value)
    assert side.messages.receive() == []


def test_failed_message_is_shown_again_when_it_was_to_be(side: Side) -> None:
    announce(side)
    (first,) = received(side, 0)
    delay(side, first, 10, 4)
    assert received(side, 13.5) == []
    (second,) = received(side, 14.5)
    assert (second.message_id, second.body, second.receives) == (first.message_id, first.body, 2)
    delay(side, second, 20, 0)
    assert [message.receives for message in received(side, 20.5)] == [3]


def test_message_that_is_done_is_not_shown_again(side: Side) -> None:
    announce(side)
    (message,) = received(side, 0)
    delay(side, message, 0, 2)
    side.messages.delete(message.receipt_handle)
    assert received(side, 100_000) == []


def test_message_that_nobody_shows_again_comes_after_the_queues_own_time_out(side: Side) -> None:
    announce(side)
    received(side, 0)
    assert received(side, 3600) == []
    assert len(received(side, 2 * 3600)) == 1


def test_message_is_given_three_times(side: Side) -> None:
    announce(side)
    for number in range(MAX_RECEIVES):
        (message,) = received(side, number)
        delay(side, message, number, 0)
    assert received(side, 100_000) == []


def test_message_is_delayed_by_a_receipt_and_by_nothing_else(side: Side) -> None:
    announce(side)
    (message,) = received(side, 0)
    with pytest.raises(Exception) as refused:  # noqa: PT011 - SQS has an error of its own for it
        side.queue.delay("no receipt", 0)
    assert not is_outage(refused.value)
    delay(side, message, 0, 0)


CALLS: dict[str, Callable[[Queue, Message], object]] = {
    "announce": lambda queue, _: queue.announce(ORGANIZATION, FILE),
    "delay": lambda queue, message: queue.delay(message.receipt_handle, 0),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_outage_is_told_from_other_errors_and_changes_nothing(
    side: Side, call: Callable[[Queue, Message], object]
) -> None:
    side.queue.announce(ORGANIZATION, FILE)
    (message,) = side.messages.receive()
    with side.wire.away(), pytest.raises(Exception, match=r"away\.example") as outage:
        call(side.queue, message)
    assert is_outage(outage.value)
    assert side.messages.receive() == []
    call(side.queue, message)
    assert len(side.messages.receive()) == 1


def test_health_is_told_and_not_raised(side: Side) -> None:
    assert side.queue.is_reachable()
    with side.wire.away():
        assert not side.queue.is_reachable()
