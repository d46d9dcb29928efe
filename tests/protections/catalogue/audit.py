"""The audit trail: who reads it, and that what is sealed stays as it was."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    CALL_TESTS,
    CLI_AUDIT_TESTS,
    CLI_EXPORTS_TESTS,
    CLI_HISTORY_TESTS,
    SEALING_TESTS,
    TRAIL_TESTS,
    UPKEEP_TESTS,
)
from tests.protections.catalogue.protection import Protection

AUDIT = (
    Protection(
        "A sealed file is written once",
        "ArchiveStore.seal",
        "IfNoneMatch='*'",
        "pass",
        (
            f"{SEALING_TESTS}::test_two_runs_at_once_make_one_chain",
            f"{SEALING_TESTS}::test_run_that_died_after_writing_is_taken_up",
        ),
    ),
    Protection(
        "A file that somebody else has put is not taken for a seal",
        "_sealed_before",
        "not events or body != _file(seal, events)",
        "False",
        (f"{SEALING_TESTS}::test_file_of_somebody_else_is_not_taken_for_a_seal",),
    ),
    Protection(
        "No event is left out of what is sealed",
        "_due_events",
        "list(takewhile(lambda event: event.published_at < due, read))",
        "[event for event in read if event.published_at < due]",
        (f"{SEALING_TESTS}::test_event_that_is_due_before_an_earlier_one_waits_for_it",),
    ),
    Protection(
        "Each sealed file names the hash of the one before",
        "_faults_of_seal",
        "seal.previous_sha256 != sha256",
        "False",
        (f"{SEALING_TESTS}::test_changed_file_is_found_when_its_events_have_expired",),
    ),
    Protection(
        "A verification that finds a fault fails",
        "_fail_for_faults",
        "raise click.ClickException(f'What is sealed and what is stored differ in {faults} places.')",
        "pass",
        (
            f"{CLI_AUDIT_TESTS}::test_changed_seal_fails_the_command_and_is_named",
            f"{CLI_HISTORY_TESTS}::test_changed_seal_fails_the_answer",
        ),
    ),
    Protection(
        "An export has the events of its organisation only",
        "_read_matching",
        "stores.feed.after(organization_id, after, READ_AT_ONCE)",
        "[e for o in stores.organizations.ids() for e in stores.feed.after(o, after, READ_AT_ONCE)]",
        (f"{TRAIL_TESTS}::test_others_organisation_has_its_own",),
    ),
    Protection(
        "An export that is not told in the trail is not given",
        "export_trail",
        "stores.outbox.put(summary.to_event())",
        "pass",
        (
            f"{TRAIL_TESTS}::test_export_is_part_of_the_trail",
            f"{TRAIL_TESTS}::test_export_that_cannot_be_told_is_refused",
        ),
    ),
    Protection(
        "The last line of an export says that it was cut",
        "export_trail",
        "complete=complete",
        "complete=True",
        (f"{TRAIL_TESTS}::test_export_that_is_cut_says_where_it_goes_on",),
    ),
    Protection(
        "The trail keeps the hash of what was exported",
        "Summary.to_event",
        "name not in ('export_id', 'organization_id')",
        "name not in ('export_id', 'organization_id', 'sha256')",
        (f"{TRAIL_TESTS}::test_export_is_part_of_the_trail",),
    ),
    Protection(
        "A saved export that was changed is found",
        "_check_file",
        "sha256.hexdigest() != summary.sha256",
        "False",
        (f"{CLI_EXPORTS_TESTS}::test_changed_export_is_found",),
    ),
    Protection(
        "A saved export that is missing among others is found",
        "_faults_between",
        "after.after != before.next_after",
        "False",
        (f"{CLI_EXPORTS_TESTS}::test_missing_export_is_found",),
    ),
    Protection(
        "An export whose filters leave little reads no more than others",
        "_read_matching",
        "read >= MAX_EVENTS_READ",
        "False",
        (f"{TRAIL_TESTS}::test_export_whose_filters_leave_little_reads_no_more_than_others",),
    ),
    Protection(
        "A page of the trail whose filters leave little reads no more than others",
        "list_trail",
        "read >= MAX_EVENTS_READ",
        "False",
        (
            f"{TRAIL_TESTS}::test_filters_that_leave_little_read_no_more_than_others",
            f"{TRAIL_TESTS}::test_pages_of_a_past_time_go_on_to_the_first_event",
        ),
    ),
    Protection(
        "A page of the feed reads no more than it shows",
        "FeedStore.after",
        "if len(events) >= limit: break",
        "pass",
        (f"{CALL_TESTS}::test_feed_reads_no_more_than_it_shows",),
    ),
    Protection(
        "An organisation that can't be sealed holds up no other",
        "keep_up",
        "if in_a_row >= MAX_FAILURES_IN_A_ROW: raise",
        "raise",
        (f"{UPKEEP_TESTS}::test_others_are_sealed_when_one_cannot_be",),
    ),
    Protection(
        "Failures of single organisations are no outage",
        "keep_up",
        "in_a_row = 0",
        "pass",
        (f"{UPKEEP_TESTS}::test_failures_with_a_success_between_them_are_no_outage",),
    ),
    Protection(
        "An outage ends the upkeep",
        "keep_up",
        "if in_a_row >= MAX_FAILURES_IN_A_ROW: raise",
        "pass",
        (f"{UPKEEP_TESTS}::test_outage_ends_the_run_and_is_told",),
    ),
    Protection(
        "An organisation that can't be kept up is counted",
        "keep_up",
        "[done['errors']]",
        "[0]",
        (f"{UPKEEP_TESTS}::test_others_are_sealed_when_one_cannot_be",),
    ),
    Protection(
        "How long events have not been sealed is told",
        "keep_up",
        "[lag_seconds]",
        "[0]",
        (f"{UPKEEP_TESTS}::test_lag_grows_until_the_fault_is_repaired",),
    ),
    Protection(
        "What is published is sealed, even where another event can't be published",
        "keep_up_feed",
        "seal_feed(stores, organization_id, state)\nraise",
        "raise",
        (f"{UPKEEP_TESTS}::test_published_events_are_sealed_when_another_cannot_be_published",),
    ),
    Protection(
        "A history is read from what is sealed, not only from what can be changed or expire",
        "read_history",
        "entries.append(Entry(event, key))",
        "pass",
        (
            f"{CLI_HISTORY_TESTS}::test_who_deleted_a_file_from_where_and_when",
            f"{CLI_HISTORY_TESTS}::test_history_is_found_when_the_feed_has_expired",
        ),
    ),
    Protection(
        "A history with a changed seal fails",
        "history",
        "_fail_for_faults([found.checked], as_json)",
        "pass",
        (f"{CLI_HISTORY_TESTS}::test_changed_seal_fails_the_answer",),
    ),
    Protection(
        "Each event of the feed is compared with its sealed line",
        "_Feed.faults_up_to",
        "lines.get(event.sequence) != _line_of(event)",
        "False",
        (
            f"{SEALING_TESTS}::test_changed_feed_is_found",
            f"{SEALING_TESTS}::test_feed_that_is_not_even_json_is_found",
        ),
    ),
)
