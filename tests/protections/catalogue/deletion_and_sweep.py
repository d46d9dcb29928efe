"""Deletion and the sweep."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    CRASHES_TESTS,
    DIRECT_TESTS,
    FILE_STORE,
    FILES,
    FILES_TESTS,
    LIMITED_TESTS,
    OBJECT_STORE,
    SWEEPING,
    SWEEPING_TESTS,
)
from tests.protections.catalogue.protection import Protection

DELETION_AND_SWEEP = (
    Protection(
        "An upload that never comes gives its room back",
        SWEEPING,
        "end_as_failed(stores, item, NEVER_ARRIVED, WORKER)",
        "stores.files.replace(item, item)",
        (f"{SWEEPING_TESTS}::test_upload_that_never_came_fails_and_gives_its_room_back",),
    ),
    Protection(
        "The note of a deletion stays until the objects are gone",
        FILES,
        '    discard_upload(stores, file)\n    if file.status == "processing":',
        '    stores.files.forget(removed)\n    discard_upload(stores, file)\n    if file.status == "processing":',
        (f"{FILES_TESTS}::test_storage_away_while_deleting_is_finished_by_the_sweep",),
    ),
    Protection(
        "The note of a deletion outlives the lease of a worker that may still copy",
        FILES,
        'if file.status == "processing":',
        "if False:",
        (f"{SWEEPING_TESTS}::test_copy_under_way_at_a_deletion_is_deleted_when_the_lease_of_its_worker_is_over",),
    ),
    Protection(
        "The sweep leaves deletions alone while a worker may still copy",
        SWEEPING,
        "if _lease_runs(item.file):",
        "if False:",
        (f"{SWEEPING_TESTS}::test_copy_under_way_at_a_deletion_is_deleted_when_the_lease_of_its_worker_is_over",),
    ),
    Protection(
        "The sweep leaves alone what a worker holds",
        SWEEPING,
        "if _lease_runs(item):",
        "if False:",
        (f"{SWEEPING_TESTS}::test_crashed_attempt_is_taken_up_when_its_lease_is_over",),
    ),
    Protection(
        "The sweep leaves alone what may still arrive",
        SWEEPING,
        'if item.status == "pending" and item.upload_expires_at > time.time():',
        "if False:",
        (f"{DIRECT_TESTS}::TestParts::test_upload_that_never_comes_is_expired_and_released",),
    ),
    Protection(
        "Open files are in the index that the sweep reads",
        FILE_STORE,
        "row.unfinished_shard = keys.unfinished_shard(file.file_id)\n    return row",
        "pass\n    return row",
        (f"{SWEEPING_TESTS}::test_upload_whose_message_was_lost_is_announced_again",),
    ),
    Protection(
        "So are the notes of deletions",
        FILE_STORE,
        "        note.unfinished_shard = keys.unfinished_shard(file.file_id)\n",
        "        note.unfinished_shard = None\n",
        (
            f"{FILES_TESTS}::test_storage_away_while_deleting_is_finished_by_the_sweep",
            f"{CRASHES_TESTS}::test_every_fault_ends_well[delete-completed]",
        ),
    ),
    Protection(
        "The sweep reads every page of the temp bucket",
        OBJECT_STORE,
        'for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._temp_bucket):',
        "for page in [self._s3.list_objects_v2(Bucket=self._temp_bucket)]:",
        (f"{SWEEPING_TESTS}::test_strays_are_found_on_every_page",),
    ),
    Protection(
        "The sweep leaves young objects alone",
        OBJECT_STORE,
        'if item["LastModified"] < moment:',
        "if True:",
        (f"{SWEEPING_TESTS}::test_what_is_young_is_left_alone",),
    ),
    Protection(
        "One item that can't be swept does not hold up the others",
        SWEEPING,
        '        done["errors"] += 1\n',
        '        done["errors"] += MAX_ERRORS\n',
        (f"{SWEEPING_TESTS}::test_one_item_that_fails_does_not_hold_up_the_others",),
    ),
    Protection(
        "A sweep gives up when it is no longer the items",
        SWEEPING,
        'if done["errors"] >= MAX_ERRORS:',
        "if False:",
        (f"{LIMITED_TESTS}::test_a_sweep_with_much_to_do_gives_up_in_time_when_storage_hangs",),
    ),
    Protection(
        "A file that kills its worker every time is given up",
        SWEEPING,
        "if item.attempts >= MAX_STARTS:",
        "if False:",
        (f"{SWEEPING_TESTS}::test_file_that_kills_every_worker_is_given_up",),
    ),
)
