"""The publisher: whatever crashes, is repeated, overtaken or lost, a reader gets every event once and in one order."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from botocore.awsrequest import AWSPreparedRequest
from botocore.exceptions import EndpointConnectionError
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chalicelib import wiring
from chalicelib.audit import upkeep
from chalicelib.events import feed_store, publishing
from chalicelib.events.records import Event, EventType, Target
from chalicelib.kernel import config
from chalicelib.kernel.clock import timestamp
from tests import aws_calls
from tests.unit.world import World

START = datetime(2026, 3, 1, tzinfo=UTC)
PUT, QUERY = "dynamodb.PutItem", "dynamodb.Query"
#: Two organisations, and a few things that things happen to.
NAMES, THINGS = ("Acme", "Bolt"), ("a", "b", "c")
PUBLISHERS = 3
EXAMPLES = 200 if os.environ.get("FAULTS_LONG") else 15
#: Making a failing example smaller takes minutes.
PHASES = [Phase.generate]


class Crash(BaseException):
    """The process has died: nothing of it runs on."""


class Publishing(RuleBasedStateMachine):
    world: World
    clock: Any

    def __init__(self) -> None:
        super().__init__()
        self.world.cloud.start_anew()
        self.world.restart()
        self.now = START
        self.clock.move_to(self.now)
        #: Each remembers what it knows of the feeds, as a function that is not started anew does.
        self.publishers = [self._process() for _ in range(PUBLISHERS)]
        self.handed_out = 0
        self.batches: list[list[dict[str, Any]]] = []
        self.written: dict[str, list[tuple[str, str]]] = {name: [] for name in NAMES}
        #: Dated, and still on their way to the table.
        self.late: list[Event] = []
        self.readers: dict[str, list[Any]] = {name: [] for name in NAMES}
        self.lost = False
        self.number = 0

    def _process(self) -> wiring.Stores:
        return wiring.Stores(config.settings(), tables=self.world.cloud.tables)

    def _organization(self, name: str) -> str:
        return self.world.organizations[name].organization_id

    # ---- what writes -----------------------------------------------------------------------------------------------
    def _event(self, name: str, thing: str) -> Event:
        self.number += 1
        # No two changes of one thing are made in the same millisecond.
        self.now += timedelta(milliseconds=1)
        self.clock.move_to(self.now)
        return Event(
            organization_id=self._organization(name),
            type=EventType.FILE_RENAMED,
            target=Target("file", thing),
            occasion=str(self.number),
            data={"number": self.number, "text": "x" * (self.number % 5 * 30_000)},
        )

    def _write(self, event: Event) -> None:
        self.publishers[0].outbox.put(event)
        name = next(name for name in NAMES if self._organization(name) == event.organization_id)
        self.written[name].append((event.target.id, event.event_id))

    @rule(name=st.sampled_from(NAMES), thing=st.sampled_from(THINGS), count=st.integers(1, 4))
    def write(self, name: str, thing: str, count: int) -> None:
        for _ in range(count):
            self._write(self._event(name, thing))

    @rule(name=st.sampled_from(NAMES))
    def begin_a_write_that_takes_long(self, name: str) -> None:
        # A thing of its own: two writes of one thing exclude each other.
        self.late.append(self._event(name, f"late-{self.number}"))

    @precondition(lambda self: self.late)
    @rule()
    def end_it(self) -> None:
        self._write(self.late.pop(0))

    # ---- what publishes --------------------------------------------------------------------------------------------
    def _next_batch(self, size: int) -> list[dict[str, Any]]:
        records = self.world.stream_records()[self.handed_out : self.handed_out + size]
        self.handed_out += len(records)
        if records:
            self.batches.append(records)
        return records

    def _publish(self, publisher: int, records: list[dict[str, Any]]) -> None:
        """As the stream: again, until it succeeds. A crash forgets what the process has known."""
        while True:
            try:
                publishing.publish_records(self.publishers[publisher], records)
                return
            except (Crash, EndpointConnectionError, Exception) as error:
                if isinstance(error, Crash):
                    self.publishers[publisher] = self._process()

    @rule(publisher=st.integers(0, PUBLISHERS - 1), size=st.integers(1, 20))
    def publish(self, publisher: int, size: int) -> None:
        self._publish(publisher, self._next_batch(size))

    @rule(
        publisher=st.integers(0, PUBLISHERS - 1),
        size=st.integers(1, 20),
        call=st.integers(1, 4),
        dies=st.booleans(),
    )
    def publish_with_a_fault(self, publisher: int, size: int, call: int, dies: bool) -> None:
        """At one call, before it takes effect: the process dies, or there is no connection."""
        made = 0

        def break_one(operation: str, _: AWSPreparedRequest) -> None:
            nonlocal made
            made += 1
            if made == call:
                raise Crash if dies else EndpointConnectionError(endpoint_url="https://away.example")

        with aws_calls.listening(break_one):
            self._publish(publisher, self._next_batch(size))

    @rule(publisher=st.integers(0, PUBLISHERS - 1), size=st.integers(1, 20))
    def publish_and_die_before_saying_so(self, publisher: int, size: int) -> None:
        records = self._next_batch(size)
        self._publish(publisher, records)
        self.publishers[publisher] = self._process()
        self._publish(publisher, records)

    @precondition(lambda self: self.batches)
    @rule(publisher=st.integers(0, PUBLISHERS - 1), data=st.data())
    def publish_an_old_batch_again(self, publisher: int, data: st.DataObject) -> None:
        self._publish(publisher, data.draw(st.sampled_from(self.batches)))

    @rule(size=st.integers(1, 10), same=st.booleans())
    def publish_two_at_once(self, size: int, same: bool) -> None:
        """The second goes through whole at the moment when the first is about to write: of the same batch, or of
        another partition. Batches of one partition come one after the other.
        """
        records = self._next_batch(size)
        if not records:
            return
        # Things of their own; something to write even if all of the batch is published.
        mine, others = self._record_of_a_new_thing(), self._record_of_a_new_thing()
        other = [*records, mine] if same else [others]
        with aws_calls.just_before(PUT, lambda: self._publish(1, other)):
            self._publish(0, [*records, mine])

    def _record_of_a_new_thing(self) -> dict[str, Any]:
        self._write(self._event("Acme", f"thing-{self.number}"))
        return self.world.stream_records()[-1]

    @rule(size=st.integers(1, 20))
    def lose_records(self, size: int) -> None:
        """A day's outage of the publisher, or an emulator that forgot its stream."""
        lost = self.world.stream_records()[self.handed_out : self.handed_out + size]
        self.handed_out += len(lost)
        self.lost = self.lost or bool(lost)

    @rule()
    def keep_up(self) -> None:
        upkeep.keep_up(self.publishers[2])

    @rule(seconds=st.sampled_from([1, 30, 90, 600]))
    def let_time_pass(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.clock.move_to(self.now)

    # ---- what reads ------------------------------------------------------------------------------------------------
    @rule(name=st.sampled_from(NAMES), limit=st.integers(1, 50))
    def read(self, name: str, limit: int) -> None:
        read = self.readers[name]
        after = read[-1].sequence if read else 0
        read += self.publishers[0].feed.after(self._organization(name), after, limit)

    @invariant()
    def order_has_no_gap_and_nothing_twice(self) -> None:
        for name, read in self.readers.items():
            assert [event.sequence for event in read] == list(range(1, len(read) + 1))
            ids = [event.to_json()["id"] for event in read]
            assert len(set(ids)) == len(ids)
            assert set(ids) <= {event_id for _, event_id in self.written[name]}, "an event that nobody wrote"

    def teardown(self) -> None:
        while self.late:
            self._write(self.late.pop(0))
        while records := self._next_batch(100):
            self._publish(0, records)
        self.now += timedelta(seconds=publishing.MISSED_AFTER_SECONDS + 1)
        self.clock.move_to(self.now)
        upkeep.keep_up(self._process())
        for name in NAMES:
            self.read(name, 10_000)
            self.order_has_no_gap_and_nothing_twice()
            read = [(event.to_json()["target"]["id"], event.to_json()["id"]) for event in self.readers[name]]
            assert Counter(read) == Counter(self.written[name]), "an event is missing"
            if not self.lost:
                for thing in THINGS:
                    assert [e for e in read if e[0] == thing] == [e for e in self.written[name] if e[0] == thing]


def test_every_event_once_in_one_order(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    # So few that a process forgets, and has to read again.
    monkeypatch.setattr(feed_store, "REMEMBERED_EVENTS", 6)
    with time_machine.travel(START, tick=False) as clock:

        class Case(Publishing):
            pass

        Case.world, Case.clock = world, clock
        run_state_machine_as_test(Case, settings=settings(max_examples=EXAMPLES, stateful_step_count=25, phases=PHASES))


def batch(world: World, *things: str) -> list[dict[str, Any]]:
    """Records of new events of Acme."""
    start = len(world.stream_records())
    for number, thing in enumerate(things):
        event = Event(
            organization_id=world.organizations["Acme"].organization_id,
            type=EventType.FILE_CREATED,
            target=Target("file", thing),
            occasion=f"{start} {number}",
            data={},
        )
        world.stores.outbox.put(event)
    return world.stream_records()[start:]


def published(world: World) -> list[str]:
    feed = world.stores.feed.before(world.organizations["Acme"].organization_id, None)
    return [event.to_json()["target"]["id"] for event in feed][::-1]


def test_event_costs_one_call_once_the_end_of_the_feed_is_known(world: World) -> None:
    publishing.publish_records(world.stores, batch(world, "a"))
    for things in ("b", "cdefg"):
        records = batch(world, *things)
        with aws_calls.aws_calls() as made:
            publishing.publish_records(world.stores, records)
        assert made == [PUT]


def test_new_process_reads_the_end_of_the_feed_first(world: World) -> None:
    publishing.publish_records(world.stores, batch(world, "a"))
    records = batch(world, "b")
    world.restart()
    with aws_calls.aws_calls() as made:
        publishing.publish_records(world.stores, records)
    assert made == [QUERY, PUT]


def test_lost_answer(world: World) -> None:
    """The segment was written, and botocore sends it once more."""
    records = batch(world, "a", "b")
    again = wiring.Stores(config.settings(), tables=world.cloud.tables)
    with aws_calls.just_before(PUT, lambda: publishing.publish_records(again, records)):
        publishing.publish_records(world.stores, records)
    assert published(world) == ["a", "b"]


def test_failure_of_one_organisation_keeps_no_other_back(world: World) -> None:
    mine = batch(world, "a")
    theirs = Event(
        organization_id=world.organizations["Bolt"].organization_id,
        type=EventType.FILE_CREATED,
        target=Target("file", "b"),
        occasion="1",
        data={},
    )
    world.stores.outbox.put(theirs)
    records = [world.stream_records()[-1], *mine]
    bolt = theirs.organization_id
    world.cloud.dynamodb.put_item(
        TableName="strongroom-test-events",
        Item={"organization_id": {"S": bolt}, "first_sequence": {"N": "1"}, "last_sequence": {"S": "unreadable"}},
    )
    with pytest.raises(Exception, match="last_sequence"):
        publishing.publish_records(world.stores, records)
    assert published(world) == ["a"]


def test_removal_from_the_outbox_is_no_event(world: World) -> None:
    records = batch(world, "a")
    removed = {**records[0], "eventName": "REMOVE", "dynamodb": {"Keys": records[0]["dynamodb"]["Keys"]}}
    assert publishing.publish_records(world.stores, [removed]) == 0
    assert published(world) == []


@pytest.mark.parametrize("age_seconds", [0, publishing.MISSED_AFTER_SECONDS - 1])
def test_upkeep_leaves_the_newest_to_the_stream(world: World, age_seconds: int) -> None:
    with time_machine.travel(START, tick=False) as clock:
        batch(world, "a")
        clock.shift(age_seconds)
        upkeep.keep_up(world.stores)
        assert published(world) == []
        clock.shift(publishing.MISSED_AFTER_SECONDS)
        upkeep.keep_up(world.stores)
        assert published(world) == ["a"]


def test_upkeep_goes_on_where_it_was(world: World) -> None:
    """What it has looked at is read once more only as long as a write can be late."""
    organization_id = world.organizations["Acme"].organization_id
    with time_machine.travel(START, tick=False) as clock:
        batch(world, "a")
        clock.shift(3600)
        upkeep.keep_up(world.stores)
        late = publishing.MISSED_AFTER_SECONDS + publishing.LATE_WRITE_SECONDS
        assert world.stores.feed.state(organization_id).outbox_read_until == timestamp(
            START + timedelta(seconds=3600 - late)
        )
        batch(world, "b")
        clock.shift(3600)
        upkeep.keep_up(world.stores)
    assert published(world) == ["a", "b"]


def test_upkeep_of_one_goes_on_without_another(world: World) -> None:
    bolt = world.organizations["Bolt"].organization_id
    world.cloud.dynamodb.put_item(
        TableName="strongroom-test-events",
        Item={"organization_id": {"S": bolt}, "first_sequence": {"N": "0"}, "last_sequence": {"S": "unreadable"}},
    )
    with time_machine.travel(START, tick=False) as clock:
        batch(world, "a")
        clock.shift(3600)
        done = upkeep.keep_up(world.stores)
    assert (done["errors"], done["feeds"]) == (1, 2)
    assert published(world) == ["a"]


def test_many_events_at_once_are_cut_into_segments_that_fit(world: World) -> None:
    records = batch(world, *(f"thing-{number}" for number in range(250)))
    publishing.publish_records(world.stores, records)
    rows = world.rows("events")
    assert [len(row["lines"]["L"]) for row in sorted(rows, key=lambda row: int(row["first_sequence"]["N"]))] == [
        100,
        100,
        50,
    ]
    assert published(world) == [f"thing-{number}" for number in range(250)]
