"""Rows, counters and quotas."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    CARE_TESTS,
    CRASHES_TESTS,
    DIRECT_TESTS,
    FILES_TESTS,
    PROCESSING_TESTS,
    RECOUNT_TESTS,
    REPETITION_TESTS,
    UPLOADS_TESTS,
)
from tests.protections.catalogue.protection import Protection

ROWS_AND_COUNTERS = (
    Protection(
        "A row is written only while it is as it was read",
        "FileStore._write",
        "FileRow.version == before.version",
        "FileRow.file_id.exists()",
        (f"{PROCESSING_TESTS}::test_two_workers_at_once_complete_it_once",),
    ),
    Protection(
        "A file is deleted only while it is as it was read",
        "FileStore.remove",
        "condition=FileRow.version == file.version",
        "condition=FileRow.file_id.exists()",
        (f"{FILES_TESTS}::test_file_that_begins_to_be_processed_while_it_is_deleted_is_deleted",),
    ),
    Protection(
        "A write that took effect but whose answer was lost is a success",
        "FileStore._write",
        "self.find(after.organization_id, after.file_id) != written",
        "self.find(after.organization_id, after.file_id) is not written",
        (f"{CRASHES_TESTS}::test_a_write_that_is_refused_by_its_own_success_is_a_success",),
    ),
    Protection(
        "The counters move in the transaction of the row",
        "FileStore._transact",
        "self._move_counters(transaction, row.organization_id, difference, room)",
        "self._tables.transact(lambda own: self._move_counters(own, row.organization_id, difference, room))",
        (f"{REPETITION_TESTS}::test_several_consumers_at_once_complete_a_file_once[2]",),
    ),
    Protection(
        "The counters move by the difference of the row before and after",
        "_difference",
        ("reserved_bytes=(after.reserved_bytes if after else 0) - (before.reserved_bytes if before else 0)"),
        "reserved_bytes=after.reserved_bytes if after else 0",
        (f"{PROCESSING_TESTS}::test_upload_is_hashed_recognised_copied_and_completed",),
    ),
    Protection(
        "A deletion releases the quota",
        "FileStore.remove",
        "self._move_counters(transaction, file.organization_id, _difference(file, None))",
        "pass",
        (f"{DIRECT_TESTS}::TestParts::test_deleted_upload_releases_its_room_and_parts",),
    ),
    Protection(
        "A failure releases the quota",
        "_fail",
        "reserved_bytes=0",
        "reserved_bytes=file.reserved_bytes",
        (f"{PROCESSING_TESTS}::test_missing_object_fails_at_once_and_says_so",),
    ),
    Protection(
        "No upload goes beyond the quota of bytes",
        "FileStore._move_counters",
        "difference.reserved_bytes > 0",
        "False",
        (f"{DIRECT_TESTS}::test_file_above_the_quota_is_409_with_the_numbers",),
    ),
    Protection(
        "No upload goes beyond the quota of files",
        "FileStore._move_counters",
        "difference.reserved_files > 0",
        "False",
        (f"{UPLOADS_TESTS}::test_full_organisation_takes_no_more_and_says_how_full",),
    ),
    Protection(
        "A retry reserves the file's size in the quota again",
        "File.reset",
        "return replace(self, **{'reserved_bytes': self.file_size, **resets(File), **changes})",
        "return replace(self, **{**resets(File), **changes})",
        (f"{CARE_TESTS}::test_retry_without_room_is_409",),
    ),
    Protection(
        "The row of an upload whose bytes could not be stored is deleted",
        "upload_form",
        "take_back(stores, file, error)",
        "None",
        (f"{UPLOADS_TESTS}::test_outage_is_503_and_leaves_nothing",),
    ),
    Protection(
        "A recount is repeated when a counter changed meanwhile",
        "recount",
        "after is not None and after.counter_changes == before.counter_changes",
        "after is not None",
        (f"{RECOUNT_TESTS}::test_count_during_which_something_changed_is_made_again",),
    ),
    Protection(
        "Counters that moved since the recount are not overwritten",
        "OrganizationStore.set_counters",
        "condition=unchanged",
        "pass",
        (f"{RECOUNT_TESTS}::test_counters_that_moved_since_they_were_counted_are_not_overwritten",),
    ),
)
