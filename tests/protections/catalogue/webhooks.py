"""Webhooks: who is told what, and that nothing is lost or held back by others."""

from __future__ import annotations

from tests.protections.catalogue.places import DELIVERING_TESTS, WEBHOOKS_TESTS
from tests.protections.catalogue.protection import Protection

WEBHOOKS = (
    Protection(
        "Whoever changes a webhook may see all that it is told",
        "get_own_webhook",
        "_check_sees_all(caller, webhook)",
        "pass",
        (f"{WEBHOOKS_TESTS}::test_nobody_changes_what_is_told_more_than_they_may_see",),
    ),
    Protection(
        "A webhook for all types is told what its maker may see",
        "_checked_types",
        "frozenset(scope_of(kind) for kind in visible_types(caller, None))",
        "frozenset(Scope)",
        (f"{WEBHOOKS_TESTS}::test_types_are_those_that_the_maker_may_see",),
    ),
    Protection(
        "What is for auditors only goes to no webhook",
        "Webhook.wants",
        "event_type not in AUDIT_ONLY and scope_of(event_type) in self.scopes",
        "scope_of(event_type) in self.scopes",
        (f"{DELIVERING_TESTS}::test_all_types_leave_out_what_is_for_auditors_only",),
    ),
    Protection(
        "An organisation never has more webhooks than allowed",
        "create_webhook",
        "len(listed.webhooks) >= MAX_WEBHOOKS",
        "False",
        (f"{WEBHOOKS_TESTS}::test_organization_has_at_most_twenty",),
    ),
    Protection(
        "Of a webhook's address events tell the origin only",
        "_told",
        "webhook.origin",
        "webhook.url",
        (f"{WEBHOOKS_TESTS}::test_changes_are_made_and_told_without_path_and_query",),
    ),
    Protection(
        "The position of a webhook moves over nothing that was not posted",
        "_Visit._post",
        "wanted[len(outcomes)].sequence - 1",
        "events[-1].sequence",
        (f"{DELIVERING_TESTS}::test_failing_endpoint_is_asked_with_one_event_at_a_time_and_less_and_less_often",),
    ),
    Protection(
        "A worker looks again before it ends when somebody asked meanwhile",
        "WebhookStore.release",
        "WebhookRow.wakes == after.wakes",
        "WebhookRow.lease.exists()",
        (f"{DELIVERING_TESTS}::test_wake_up_that_meets_a_worker_is_seen_to_by_that_worker",),
    ),
    Protection(
        "Of two workers one has the lease",
        "WebhookStore.lease",
        "_ENABLED & free & (WebhookRow.quiet_until <= now)",
        "_ENABLED & (WebhookRow.quiet_until <= now)",
        (f"{DELIVERING_TESTS}::test_lease_of_a_worker_that_died_ends_and_the_sweep_sees_to_the_rest",),
    ),
    Protection(
        "A worker that has lost its lease writes no progress",
        "WebhookStore._with_lease",
        "_ENABLED & (WebhookRow.lease == webhook.progress.lease)",
        "_ENABLED",
        (f"{DELIVERING_TESTS}::test_worker_that_lost_its_lease_moves_nothing",),
    ),
    Protection(
        "A delivery is noted with its next try",
        "DeliveryStore.save",
        "transaction.save(next_due)",
        "pass",
        (f"{DELIVERING_TESTS}::test_failed_event_is_tried_over_three_days_and_then_failed",),
    ),
    Protection(
        "A failing endpoint is left alone for a while",
        "_Visit._progress_at_end",
        "now + pause_seconds(self._failing_since, now) if self._failing_since is not None else 0",
        "0",
        (f"{DELIVERING_TESTS}::test_failing_endpoint_is_asked_with_one_event_at_a_time_and_less_and_less_often",),
    ),
    Protection(
        "An endpoint that is gone is posted to no more",
        "_Visit._note",
        "self._is_gone = self._is_gone or outcome.status == GONE",
        "pass",
        (f"{DELIVERING_TESTS}::test_gone_disables_at_once",),
    ),
    Protection(
        "Every enabled webhook is looked at again, whatever became of its messages",
        "create_webhook",
        "wake_at=int(time.time()) + LOOK_AGAIN_SECONDS",
        "wake_at=int(time.time()) + 1000 * LOOK_AGAIN_SECONDS",
        (f"{DELIVERING_TESTS}::test_sweep_wakes_what_every_message_was_lost_of",),
    ),
)
