"""A world in which endpoints are twins, the wake-ups a queue in memory, and time passes when the test says so."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import time_machine

from chalicelib.events.records import Event, EventType, Target
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.permissions import Role
from chalicelib.tenants import organizations as tenants
from chalicelib.webhooks import logic
from chalicelib.webhooks.batches import deliver_batch
from chalicelib.webhooks.records import Delivery, Webhook
from chalicelib.webhooks.wakeups import wake_overdue
from infra.local.lambda_events import stream_event
from tests.memory.endpoints import Behaviour, MemoryEndpoints, Post
from tests.memory.wakeups import MemoryWakeups
from tests.unit.cloud import REGION, STACK
from tests.unit.world import World

URL = "https://hooks.example.com/strongroom?token=of-the-customer"
SWEEP_SECONDS = 300


class Lab:
    def __init__(self, world: World, travel: time_machine.Traveller) -> None:
        self.world = world
        self.endpoints: MemoryEndpoints = world.endpoints
        self.wakeups = MemoryWakeups()
        self.restart()
        self._travel = travel
        self._numbers = itertools.count(1)
        self.told = 0

    def restart(self) -> None:
        """As a new process."""
        self.world.use(wakeups=self.wakeups)

    def webhook(self, url: str = URL, types: Iterable[str] | None = None, by: str | Caller = "anna") -> Webhook:
        chosen = list(types) if types is not None else None
        caller = by if isinstance(by, Caller) else self.world.caller(by)
        return logic.create_webhook(self.world.stores, caller, url, chosen).webhook

    def owner(self, organization: str) -> Caller:
        """Somebody of this organisation, which is made when there is none."""
        known = self.world.organizations
        if organization not in known:
            known[organization] = tenants.create_organization(self.world.stores, organization)
        return Caller.of_user(known[organization].organization_id, "owner-id", "owner", Role.OWNER)

    def now(self, webhook: Webhook) -> Webhook:
        """As it is now."""
        found = self.world.stores.webhooks.find(webhook.organization_id, webhook.webhook_id)
        assert found is not None
        return found

    def happen(
        self, count: int = 1, kind: EventType = EventType.FILE_COMPLETED, of: str = "Acme", publish: bool = True
    ) -> list[str]:
        """Something happens, so often. The ids of the events."""
        events = []
        for _ in range(count):
            number = next(self._numbers)
            organization_id = self.world.organizations[of].organization_id
            target = Target("file", f"file-{number}")
            events.append(
                Event(organization_id=organization_id, type=kind, target=target, occasion="1", data={"number": number})
            )
            self.world.stores.outbox.put(events[-1])
        if publish:
            self.publish()
        return [event.event_id for event in events]

    def publish(self) -> None:
        """The publisher gets what the stream has told since the last time."""
        table = self.world.cloud.backend_of_tables().tables[f"{STACK}-event-outbox"]
        told = [record.to_json() for record in table.stream_shard.items]
        new, self.told = told[self.told :], len(told)
        if new:
            records = stream_event("arn:aws:dynamodb:stream", REGION, new)["Records"]
            self.world.cloud.chalice.lambda_.invoke("publish_events", {"Records": records})

    def forward(self, seconds: float) -> None:
        self._travel.shift(seconds)

    def work(self) -> list[str]:
        """Deliver as long as there are messages that can be seen. The ids of those that failed."""
        failed: list[str] = []
        for _ in range(50):
            messages = self.wakeups.receive()
            if not messages:
                return failed
            kept = [one["itemIdentifier"] for one in deliver_batch(self.world.stores, messages)["batchItemFailures"]]
            failed += kept
            for message in messages:
                if message.message_id not in kept:
                    self.wakeups.delete(message.receipt_handle)
        raise AssertionError("the queue never got empty")

    def sweep(self) -> int:
        return wake_overdue(self.world.stores, int(time.time()))

    def pass_time(self, seconds: float, step: float = SWEEP_SECONDS) -> None:
        """Time passes, with what runs meanwhile: deliveries, and the sweep every five minutes."""
        while seconds > 0:
            self.forward(min(step, seconds))
            seconds -= step
            self.sweep()
            self.work()

    def behave(self, behaviour: Behaviour, url: str = URL) -> None:
        self.endpoints.behaviours[url] = behaviour

    def posts(self, url: str = URL) -> list[Post]:
        return self.endpoints.sent_to(url)

    def posted(self, url: str = URL) -> list[str]:
        """Ids of the events, in the order in which they were posted."""
        return [post.event_id for post in self.posts(url)]

    def deliveries(self, webhook: Webhook) -> list[Delivery]:
        """In the order of the events."""
        return self.world.stores.deliveries.page(webhook, None, 1000)[::-1]


@contextmanager
def lab_of(world: World) -> Iterator[Lab]:
    with time_machine.travel(time.time(), tick=True) as travel:
        yield Lab(world, travel)
