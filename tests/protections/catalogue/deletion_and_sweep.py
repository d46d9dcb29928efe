"""Deletion and the sweep."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    CRASHES_TESTS,
    FILES_TESTS,
    SWEEPING_TESTS,
)
from tests.protections.catalogue.protection import Protection

DELETION_AND_SWEEP = (
    Protection(
        "An upload that never arrives releases its reservation",
        "_finish",
        "end_as_failed(stores, item, NEVER_ARRIVED, WORKER)",
        "stores.files.replace(item, item)",
        (f"{SWEEPING_TESTS}::test_upload_that_never_came_fails_and_gives_its_room_back",),
    ),
    Protection(
        "The note of a deletion stays until the objects are gone",
        "finish_removal",
        "discard_upload(stores, file)",
        ("stores.files.forget(removed)\ndiscard_upload(stores, file)"),
        (f"{FILES_TESTS}::test_storage_away_while_deleting_is_finished_by_the_sweep",),
    ),
    Protection(
        "The note of a deletion outlives the lease of a worker that may still copy",
        "finish_removal",
        "file.status == 'processing'",
        "False",
        (f"{SWEEPING_TESTS}::test_copy_under_way_at_a_deletion_is_deleted_when_the_lease_of_its_worker_is_over",),
    ),
    Protection(
        "The sweep does not touch a file whose lease a worker holds",
        "_finish",
        "_lease_runs(item)",
        "False",
        (f"{SWEEPING_TESTS}::test_crashed_attempt_is_taken_up_when_its_lease_is_over",),
    ),
    Protection(
        "Open files are in the index that the sweep reads",
        "_to_row",
        "row.unfinished_shard = keys.unfinished_shard(file.file_id)",
        "pass",
        (f"{SWEEPING_TESTS}::test_upload_whose_message_was_lost_is_announced_again",),
    ),
    Protection(
        "Deletion notes are in the index that the sweep reads",
        "FileStore.remove",
        "keys.unfinished_shard(file.file_id)",
        "None",
        (
            f"{FILES_TESTS}::test_storage_away_while_deleting_is_finished_by_the_sweep",
            f"{CRASHES_TESTS}::test_every_fault_ends_well[delete-completed]",
        ),
    ),
)
