"""Delivering: whatever there is to do for one webhook, by one worker at a time.

A worker holds a short lease on the webhook's row. It posts the events after the webhook's position, then moves the
position; it makes the tries that are due; and it sends old events again where that was asked for. When it ends it
writes down when somebody has to look again. A crash anywhere means only that events are posted once more.

An endpoint that fails is asked with one event at a time, the oldest try that is due, and is left alone in between for
longer and longer: so it takes a small part of what others need, and few events are under way when it comes back.
"""

import contextvars
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import StrEnum
from functools import partial

from chalicelib.events.records import PublishedEvent
from chalicelib.kernel.errors import VersionConflict
from chalicelib.webhooks.logic import disable_webhook
from chalicelib.webhooks.measures import Measures
from chalicelib.webhooks.records import Due, Progress, Webhook
from chalicelib.webhooks.tries import GONE, NOTHING, Outcome, first_try, read_event, replay_event, try_again
from chalicelib.webhooks.wakeups import LOOK_AGAIN_SECONDS, pause_seconds, wake_after, wakeup_of
from chalicelib.wiring import Stores

#: Events that one endpoint is sent at the same time.
PARALLEL_TRIES = 8
#: What is read at once: of new events, which come first, ...
NEW_EVENTS = 100
#: ... of tries that are due, and of old events, so that new ones wait for little of these.
DUE_TRIES = 25
REPLAYED_EVENTS = 25
#: After this time a worker begins no more tries. One that it has begun takes up to 15 s.
WORK_SECONDS = 45
#: Longer than the function may run (infra/functions.py; a test holds the two together), so that no two workers deliver
#: to one endpoint while both live.
LEASE_SECONDS = 150
#: An endpoint that fails for so long is disabled.
MAX_FAILING_SECONDS = 5 * 24 * 3600
ANSWERED_GONE = "The endpoint answered 410 Gone."
FAILED_TOO_LONG = "The endpoint has failed for five days without a success in between."
#: After an error; the message is shown again then, too.
RETRY_SECONDS = 60
_MAX_ATTEMPTS = 5

_log = logging.getLogger(__name__)


class Delivered(StrEnum):
    """How a worker's visit to a webhook ended."""

    DONE = "done"
    #: Another worker is at it, who looks again before it ends.
    HANDED_OVER = "handed over"
    #: The endpoint fails and is left alone for a while.
    QUIET = "quiet"
    #: Disabled or deleted, before or meanwhile; or the lease was lost.
    ENDED = "ended"


def deliver(stores: Stores, organization_id: str, webhook_id: str) -> Delivered:
    """Do what there is to do for a webhook. Repeatable.

    :raises Exception: an outage. What was left is done by whoever comes next.
    """
    for _ in range(_MAX_ATTEMPTS):
        now = int(time.time())
        try:
            leased = stores.webhooks.lease(organization_id, webhook_id, uuid.uuid4().hex, now, now + LEASE_SECONDS)
        except VersionConflict:
            handed = _hand_over(stores, organization_id, webhook_id, now)
            if handed is not None:
                return handed
            continue
        visit = _Visit(stores, leased)
        try:
            return visit.run()
        except Exception:
            visit.give_up()
            raise
        finally:
            visit.measures.write(stores.settings)
    return Delivered.HANDED_OVER


def _hand_over(stores: Stores, organization_id: str, webhook_id: str, now: int) -> Delivered | None:
    """Why there was no lease; None when it is free by now."""
    webhook = stores.webhooks.find(organization_id, webhook_id)
    if webhook is None or not webhook.enabled:
        return Delivered.ENDED
    if webhook.progress.is_leased(now):
        try:
            stores.webhooks.ask_holder(organization_id, webhook_id, now)
        except VersionConflict:
            return None
        return Delivered.HANDED_OVER
    if webhook.progress.is_quiet(now):
        stores.wakeups.send(wakeup_of(stores, webhook, now))
        return Delivered.QUIET
    return None


class _Visit:
    """What a worker does while it holds the lease."""

    def __init__(self, stores: Stores, webhook: Webhook) -> None:
        self._stores = stores
        self._webhook = webhook
        self._failing_since = webhook.progress.failing_since
        self._failed_before = self._failing_since is not None
        #: It has failed before: one event at a time, until it takes one.
        self._is_probing = self._failed_before
        self._failures_in_a_row = 0
        self.measures = Measures()
        self._end = time.monotonic() + WORK_SECONDS
        #: The earliest try that is to come, as far as it is known.
        self._next_try_at: int | None = None
        #: The endpoint has said that it wants nothing before.
        self._not_before = 0
        #: Of this visit: the endpoint fails, and there is no use in posting more.
        self._is_down = False
        self._is_gone = False
        self._counting = threading.Lock()
        #: How often others had asked to look again, before the present look.
        self._wakes = webhook.progress.wakes

    def run(self) -> Delivered:
        while True:
            try:
                is_done = not self._work()
                if self._has_to_disable() and disable_webhook(self._stores, self._webhook, self._reason):
                    self.measures.disabled = True
                    return Delivered.ENDED
                if is_done or self._is_down or self._is_over:
                    self._end_visit(is_done)
                    return Delivered.DONE
            except VersionConflict:
                # Asked to look again, or it was changed meanwhile.
                if not self._still_holds():
                    return Delivered.ENDED

    def _work(self) -> bool:
        """:returns: whether there may be more to do at once."""
        self._wakes = self._webhook.progress.wakes
        steps = [self._send_new, self._try_due, self._replay]
        if self._is_probing:
            # The oldest try that is due is what to ask a failing endpoint with.
            steps = [self._try_due, self._send_new, self._replay]
        # All of them, whatever the first says.
        return any([step() for step in steps])  # noqa: C419

    # ---- the three kinds of work ---------------------------------------------------------------------------------
    def _send_new(self) -> bool:
        position = self._webhook.progress.position
        events = self._events_after(position, NEW_EVENTS)
        if not events or self._is_down:
            return bool(events)
        reached = self._post(events, first_try)
        if reached > position:
            self._webhook = self._stores.webhooks.move(
                self._webhook, position=reached, failing_since=self._failing_since
            )
        return reached < events[-1].sequence or len(events) == NEW_EVENTS

    def _replay(self) -> bool:
        replay = self._webhook.progress.replay
        if replay is None or self._is_down:
            return replay is not None
        events = [e for e in self._events_after(replay.position, REPLAYED_EVENTS) if e.sequence <= replay.until]
        reached = self._post(events, replay_event) if events else replay.until
        if reached > replay.position or not events:
            self._webhook = self._stores.webhooks.move_replay(
                self._webhook, replay, position=reached, failing_since=self._failing_since
            )
        return self._webhook.progress.replay is not None

    def _try_due(self) -> bool:
        known = list(self._stores.deliveries.due(self._webhook, DUE_TRIES))
        now = int(time.time())
        due = [one for one in known if one.at <= now]
        for one in known[len(due) :]:
            self._note_next_try(one.at)
        if not due or self._is_down:
            return bool(due)
        outcomes = self._try_each([partial(self._try_again, one) for one in due])
        return len(outcomes) < len(due) or len(known) == DUE_TRIES

    def _try_again(self, due: Due) -> Outcome:
        return try_again(self._stores, self._webhook, due, self._note_success)

    def _note_success(self) -> None:
        """Before the last of its deliveries is delivered: after a crash nothing would be left to tell that the endpoint
        has stopped failing, and its next failure, in a week, would disable it.

        :raises VersionConflict: the lease is lost, or it was disabled meanwhile.
        """
        with self._counting:
            self._failing_since = None
            if self._webhook.progress.failing_since is not None:
                position = self._webhook.progress.position
                self._webhook = self._stores.webhooks.move(self._webhook, position=position, failing_since=None)

    def _events_after(self, position: int, limit: int) -> list[PublishedEvent]:
        return self._stores.feed.after(self._webhook.organization_id, position, limit)

    def _post(
        self, events: Sequence[PublishedEvent], post: Callable[[Stores, Webhook, PublishedEvent], Outcome]
    ) -> int:
        """Post those that go to this endpoint.

        :returns: up to which sequence all were, those that do not go to it included.
        """
        wanted = [event for event in events if self._wants(event)]
        outcomes = self._try_each([partial(post, self._stores, self._webhook, event) for event in wanted])
        if len(outcomes) < len(wanted):
            return wanted[len(outcomes)].sequence - 1
        return events[-1].sequence

    def _wants(self, event: PublishedEvent) -> bool:
        happened = read_event(event)
        return self._webhook.wants(happened.event_type, happened.target_id)

    # ---- trying --------------------------------------------------------------------------------------------------
    def _try_each(self, tries: Sequence[Callable[[], Outcome]]) -> list[Outcome]:
        """:returns: the outcomes of those before the first one that was not begun."""
        outcomes: list[Outcome | None] = []
        rest = list(tries)
        while rest and self._is_probing and not self._is_down:
            outcomes.append(self._begin(rest.pop(0)))
        if rest and not self._is_down:
            with ThreadPoolExecutor(PARALLEL_TRIES) as pool:
                running = [pool.submit(contextvars.copy_context().run, self._begin, one) for one in rest]
            outcomes += [one.result() for one in running]
        begun = next((place for place, one in enumerate(outcomes) if one is None), len(outcomes))
        return [one for one in outcomes[:begun] if one is not None]

    def _begin(self, attempt: Callable[[], Outcome]) -> Outcome | None:
        if self._is_over or self._is_down:
            return None
        outcome = attempt()
        if outcome is not NOTHING:
            self._note(outcome)
        return outcome

    def _note(self, outcome: Outcome) -> None:
        with self._counting:
            self._note_next_try(outcome.next_try_at)
            self._is_gone = self._is_gone or outcome.status == GONE
            self._not_before = max(self._not_before, outcome.not_before or 0)
            self._measure(outcome)
            if outcome.accepted:
                self._failing_since, self._is_probing, self._failures_in_a_row = None, False, 0
            else:
                self._failures_in_a_row += 1
                self._failing_since = self._failing_since or int(time.time())
            bearable = 0 if self._is_probing else PARALLEL_TRIES - 1
            has_enough = self._is_gone or outcome.not_before is not None
            self._is_down = self._is_down or has_enough or self._failures_in_a_row > bearable

    def _measure(self, outcome: Outcome) -> None:
        if not outcome.accepted:
            self.measures.failed_tries += 1
        elif outcome.completed_to_delivered is not None and not self._failed_before:
            self.measures.completed_to_delivered.append(outcome.completed_to_delivered)

    def _note_next_try(self, moment: int | None) -> None:
        if moment is not None and (self._next_try_at is None or moment < self._next_try_at):
            self._next_try_at = moment

    @property
    def _is_over(self) -> bool:
        return time.monotonic() >= self._end

    # ---- the end -------------------------------------------------------------------------------------------------
    def _has_to_disable(self) -> bool:
        if self._is_gone:
            return True
        # None although it is down: a try that was begun before the last failure, and took longer, was accepted.
        failing_since = self._failing_since if self._failing_since is not None else time.time()
        return self._is_down and time.time() - failing_since >= MAX_FAILING_SECONDS

    @property
    def _reason(self) -> str:
        return ANSWERED_GONE if self._is_gone else FAILED_TOO_LONG

    def give_up(self) -> None:
        """After an error: best effort, as the lease ends by itself and the sweep sees to the rest."""
        try:
            now = int(time.time())
            progress = self._progress_at_end(now, now + RETRY_SECONDS)
            self._stores.webhooks.release(self._webhook, progress, even_if_asked=True)
        except Exception as error:
            _log.warning("A webhook's lease is left to end by itself (%s)", type(error).__name__)

    def _end_visit(self, is_done: bool) -> None:
        """:raises VersionConflict: somebody asked to look again, or the lease is lost."""
        now = int(time.time())
        progress = self._progress_at_end(now, now + LOOK_AGAIN_SECONDS if is_done else now)
        self._stores.webhooks.release(self._webhook, progress, even_if_asked=not is_done)
        wake_after(self._stores, self._webhook, progress, now)

    def _progress_at_end(self, now: int, wake_at: int) -> Progress:
        """:param wake_at: when to look again if no try is to come before."""
        quiet_until = now + pause_seconds(self._failing_since, now) if self._failing_since is not None else 0
        quiet_until = max(quiet_until, self._not_before)
        if self._next_try_at is not None:
            wake_at = min(wake_at, self._next_try_at)
        return replace(
            self._webhook.progress,
            failing_since=self._failing_since,
            quiet_until=quiet_until,
            wakes=self._wakes,
            wake_at=max(wake_at, quiet_until),
        )

    def _still_holds(self) -> bool:
        """Read the webhook anew."""
        held = self._webhook.progress.lease
        found = self._stores.webhooks.find(self._webhook.organization_id, self._webhook.webhook_id)
        if found is None or not found.enabled or found.progress.lease != held:
            return False
        self._webhook = found
        return True
