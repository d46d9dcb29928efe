"""Rows, counters and quotas."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    CARE_TESTS,
    CRASHES_TESTS,
    DIRECT_TESTS,
    FILE_STORE,
    FILES,
    FILES_TESTS,
    ORGANIZATION_STORE,
    PROCESSING,
    PROCESSING_TESTS,
    RECOUNT_TESTS,
    REPETITION_TESTS,
    UPLOADS,
    UPLOADS_TESTS,
)
from tests.protections.catalogue.protection import Protection

ROWS_AND_COUNTERS = (
    Protection(
        "A row is written only while it is as it was read",
        FILE_STORE,
        "condition = FileRow.version == before.version if before else FileRow.file_id.does_not_exist()",
        "condition = FileRow.file_id.exists() if before else FileRow.file_id.does_not_exist()",
        (f"{PROCESSING_TESTS}::test_two_workers_at_once_complete_it_once",),
    ),
    Protection(
        "A file is deleted only while it is as it was read",
        FILE_STORE,
        "condition=FileRow.version == file.version,",
        "condition=FileRow.file_id.exists(),",
        (f"{FILES_TESTS}::test_file_that_begins_to_be_processed_while_it_is_deleted_is_deleted",),
    ),
    Protection(
        "A write that is refused by its own success is a success",
        FILE_STORE,
        "if self.find(after.organization_id, after.file_id) != written:",
        "if self.find(after.organization_id, after.file_id) is not written:",
        (f"{CRASHES_TESTS}::test_a_write_that_is_refused_by_its_own_success_is_a_success",),
    ),
    Protection(
        "The counters move in the transaction of the row",
        FILE_STORE,
        "            self._move_counters(transaction, row.organization_id, difference)\n\n        try:",
        "            self._tables.transact(lambda own: self._move_counters(own, row.organization_id, difference))\n\n"
        "        try:",
        (f"{REPETITION_TESTS}::test_several_consumers_at_once_complete_a_file_once[2]",),
    ),
    Protection(
        "The counters move by the difference of the row before and after",
        FILE_STORE,
        "reserved_bytes=(after.reserved_bytes if after else 0) - (before.reserved_bytes if before else 0),",
        "reserved_bytes=after.reserved_bytes if after else 0,",
        (f"{PROCESSING_TESTS}::test_upload_is_hashed_recognised_copied_and_completed",),
    ),
    Protection(
        "A deletion gives the room back",
        FILE_STORE,
        "self._move_counters(transaction, file.organization_id, _difference(file, None))",
        "pass",
        (f"{DIRECT_TESTS}::TestParts::test_deleted_upload_releases_its_room_and_parts",),
    ),
    Protection(
        "A failure gives the room back",
        PROCESSING,
        "reserved_bytes=0,",
        "reserved_bytes=file.reserved_bytes,",
        (f"{PROCESSING_TESTS}::test_missing_object_fails_at_once_and_says_so",),
    ),
    Protection(
        "A failed file counts towards no quota of files",
        FILE_STORE,
        'return 0 if file is None or file.status == "failed" else 1',
        "return 0 if file is None else 1",
        (f"{PROCESSING_TESTS}::test_missing_object_fails_at_once_and_says_so",),
    ),
    Protection(
        "No upload goes beyond the quota of bytes",
        FILE_STORE,
        "if difference.reserved_bytes > 0:",
        "if False:",
        (f"{DIRECT_TESTS}::test_file_above_the_quota_is_409_with_the_numbers",),
    ),
    Protection(
        "No upload goes beyond the quota of files",
        FILE_STORE,
        "if difference.reserved_files > 0:",
        "if False:",
        (f"{UPLOADS_TESTS}::test_full_organisation_takes_no_more_and_says_how_full",),
    ),
    Protection(
        "A failed file takes its room again when it is processed again",
        PROCESSING,
        "reserved_bytes=file.file_size,",
        "reserved_bytes=file.reserved_bytes,",
        (f"{PROCESSING_TESTS}::test_failed_file_does_not_come_back_into_a_full_organization",),
    ),
    Protection(
        "A failed file takes its room again when it is retried",
        FILES,
        "reserved_bytes=file.file_size,",
        "reserved_bytes=file.reserved_bytes,",
        (f"{CARE_TESTS}::test_retry_without_room_is_409",),
    ),
    Protection(
        "An upload whose bytes could not be stored is taken back",
        UPLOADS,
        "arrived = take_back(stores, file, error)",
        "arrived = None",
        (f"{UPLOADS_TESTS}::test_outage_is_503_and_leaves_nothing",),
    ),
    Protection(
        "A recount during which something changed counts for nothing",
        "chalicelib/tenants/recounting.py",
        "if after is not None and after.counter_changes == before.counter_changes:",
        "if after is not None:",
        (f"{RECOUNT_TESTS}::test_count_during_which_something_changed_is_made_again",),
    ),
    Protection(
        "An exchange that leaves the counters as they were is a change too",
        FILE_STORE,
        "            OrganizationRow.counter_changes.add(1),\n",
        "",
        (
            f"{RECOUNT_TESTS}::test_exchange_that_leaves_the_counters_as_they_were_is_a_change",
            f"{RECOUNT_TESTS}::test_exchange_since_the_count_is_not_overwritten",
        ),
    ),
    Protection(
        "Counters that moved since the recount are not overwritten",
        ORGANIZATION_STORE,
        "                condition=unchanged,\n",
        "",
        (f"{RECOUNT_TESTS}::test_counters_that_moved_since_they_were_counted_are_not_overwritten",),
    ),
)
