"""Webhooks: who is told what, and that nothing is lost or held back by others."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    DELIVERING_TESTS,
    OUTBOUND_TESTS,
    URLS_TESTS,
    WEBHOOKS_TESTS,
    WHOLE_HEAD_TESTS,
)
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
    Protection(
        "An endpoint that fails for five days is disabled",
        "_Visit._has_to_disable",
        "self._is_down and time.time() - failing_since >= MAX_FAILING_SECONDS",
        "False",
        (f"{DELIVERING_TESTS}::test_endpoint_that_fails_for_five_days_is_disabled_with_an_event",),
    ),
    Protection(
        "An endpoint that has just taken an event is not disabled, however many it has refused meanwhile",
        "_Visit._has_to_disable",
        "self._failing_since if self._failing_since is not None else time.time()",
        "self._failing_since or 0",
        (f"{DELIVERING_TESTS}::test_success_after_the_last_of_many_failures_keeps_it_enabled",),
    ),
    Protection(
        "An endpoint that takes events again is noted before the delivery is",
        "_try",
        "accepted()",
        "pass",
        (f"{DELIVERING_TESTS}::test_endpoint_that_has_taken_what_it_failed_at_fails_no_more_though_the_worker_dies",),
    ),
    Protection(
        "An endpoint that says when to come again is sent nothing before",
        "_Visit._progress_at_end",
        "max(quiet_until, self._not_before)",
        "quiet_until",
        (f"{DELIVERING_TESTS}::test_endpoint_that_says_when_to_come_again_is_sent_nothing_before",),
    ),
    Protection(
        "Every address of a name is checked, not the first only",
        "_resolve",
        "all(_is_public_text(address) for address in addresses)",
        "_is_public_text(addresses[0])",
        (
            f"{URLS_TESTS}::test_one_address_of_many_that_leads_inside_is_enough",
            f"{OUTBOUND_TESTS}::test_one_private_address_among_public_ones_is_enough_not_to_connect_to_any",
        ),
    ),
    Protection(
        "What is connected to is an address that was checked",
        "OutboundSender._connect",
        "self._connection(target, address)",
        "self._connection(target, target.host)",
        (f"{OUTBOUND_TESTS}::test_name_is_asked_for_once",),
    ),
    Protection(
        "When one address is away the next one is asked",
        "OutboundSender._connect",
        "continue",
        "break",
        (f"{OUTBOUND_TESTS}::test_next_address_is_asked_when_one_does_not_take_the_connection",),
    ),
    Protection(
        "Addresses of special purposes are not public, whatever Python thinks of them",
        "is_public",
        "any(address.version == network.version and address in network for network in _NOT_PUBLIC)",
        "False",
        (f"{URLS_TESTS}::test_no_network_of_the_registries_is_public_from_its_first_to_its_last_address",),
    ),
    Protection(
        "The certificate is for the name of the URL",
        "OutboundSender._connection",
        "assert_hostname=target.host",
        "assert_hostname=False",
        (f"{OUTBOUND_TESTS}::test_certificate_of_another_host_expired_or_of_nobody",),
    ),
    Protection(
        "The certificate is of an authority that is trusted",
        "OutboundSender._connection",
        "cert_reqs='CERT_REQUIRED'",
        "cert_reqs='CERT_NONE'",
        (f"{OUTBOUND_TESTS}::test_certificate_of_another_host_expired_or_of_nobody",),
    ),
    Protection(
        "An attempt ends in time, whatever the other side does",
        "OutboundSender.send",
        "timeout=ATTEMPT_SECONDS",
        "timeout=10 * ATTEMPT_SECONDS",
        (f"{OUTBOUND_TESTS}::test_time_limit_holds_whatever_the_server_does",),
    ),
    Protection(
        "Nothing is sent after an attempt was said to have timed out",
        "OutboundSender.send",
        "attempt.is_given_up = True",
        "pass",
        (f"{OUTBOUND_TESTS}::test_nothing_is_sent_when_the_dns_answers_too_late",),
    ),
    Protection(
        "Of an answer a kilobyte is read",
        "OutboundSender._post",
        "while len(attempt.body) < BODY_START_BYTES:\n"
        "    piece = response.read1(BODY_START_BYTES - len(attempt.body))\n"
        "    if not piece:\n"
        "        break\n"
        "    attempt.body += piece",
        "attempt.body = response.read()",
        (f"{OUTBOUND_TESTS}::test_endless_answer_is_read_to_a_bound",),
    ),
    Protection(
        "A redirect is no acceptance",
        "Answer.is_accepted",
        "200 <= self.status < 300",
        "200 <= self.status < 400",
        (f"{OUTBOUND_TESTS}::test_anything_but_2xx_is_no_acceptance_and_no_redirect_is_followed",),
    ),
    Protection(
        "An endpoint that dies in the head of its answer has not accepted the event",
        "WholeHeadResponse.begin",
        "head.last_line not in _EMPTY_LINES",
        "False",
        (f"{WHOLE_HEAD_TESTS}::test_head_that_breaks_off_is_no_answer",),
    ),
)
