"""Processing."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    CALL_TESTS,
    CHECKED_BYTES_TESTS,
    CRASHES_TESTS,
    DIRECT_TESTS,
    EXTENSIONS_TESTS,
    LEASELESS_TESTS,
    OBJECTS_CONTRACT,
    ODD_TESTS,
    PROCESSING_TESTS,
    REPETITION_TESTS,
    STALLED_TESTS,
    STEPS_TESTS,
)
from tests.protections.catalogue.protection import Protection

PROCESSING_ONCE = (
    Protection(
        "Only bytes that nobody can write a second time are proved by a CRC",
        "needs_several",
        "file.multipart_upload_id is None or source.verified_crc64nvme is None",
        "source.verified_crc64nvme is None",
        (f"{STEPS_TESTS}::test_upload_that_could_be_written_again_is_hashed_first",),
    ),
    Protection(
        "A copy in steps counts only with the CRC64NVME of the upload",
        "ObjectStore.finish_copy",
        "_verified(answer, 'CRC64NVME') != source.verified_crc64nvme",
        "False",
        (f"{OBJECTS_CONTRACT}::TestLongCopy::test_with_another_checksum_is_taken_back[moto]",),
    ),
    Protection(
        "A step of hashing that slept for longer than its lease writes nothing",
        "_save",
        "now is None or (now.lease_owner, now.attempts) != (file.lease_owner, file.attempts)",
        "now is None",
        (f"{STEPS_TESTS}::test_worker_that_slept_for_longer_than_its_lease_takes_nothing_from_the_next",),
    ),
    Protection(
        "Hashing of completed files leaves places of processing to others",
        "go_on_hashing",
        "stores.files.replace(file, taken, most_at_once=most)",
        "stores.files.replace(file, taken)",
        (f"{STEPS_TESTS}::test_hashing_leaves_workers_to_others",),
    ),
    Protection(
        "Bytes whose SHA-256 is due are kept",
        "_check_temp",
        "file.status == 'completed' and (not file.is_unfinished)",
        "file.status == 'completed'",
        (f"{STEPS_TESTS}::test_repeated_event_of_a_completed_file_keeps_the_bytes_that_are_hashed",),
    ),
    Protection(
        "A policy's rule on extensions holds for an upload",
        "check_bytes",
        "policy.refusal_of(examined.mime_type) or policy.refusal_of_name(file.filename, examined.mime_type)",
        "policy.refusal_of(examined.mime_type)",
        (f"{EXTENSIONS_TESTS}::test_upload_whose_extension_is_another_types_fails_and_its_bytes_go",),
    ),
    Protection(
        "A policy's rule on extensions holds for a new name",
        "rename_file",
        "refusal is not None",
        "False",
        (f"{EXTENSIONS_TESTS}::test_rename_to_another_types_extension_is_409_and_changes_nothing",),
    ),
    Protection(
        "A worker does not process a file whose lease another worker holds",
        "held_by_another",
        "file.lease_owner != worker and file.lease_expires_at > time.time()",
        "False",
        (f"{REPETITION_TESTS}::test_a_worker_leaves_alone_what_another_holds",),
    ),
    Protection(
        "A worker stops when its lease has expired",
        "_require_lease",
        "file.lease_expires_at <= time.time()",
        "False",
        (f"{PROCESSING_TESTS}::test_worker_that_slept_for_longer_than_its_lease_touches_nothing",),
    ),
    Protection(
        "Failing a file from outside takes its lease before the copy is deleted",
        "end_as_failed",
        "file.attempts",
        "False",
        (f"{PROCESSING_TESTS}::test_who_ends_a_file_that_was_completed_meanwhile_touches_nothing",),
    ),
    Protection(
        "A copy that a dead worker has left over the right one is deleted",
        "process_upload",
        "stores.objects.make_current(organization_id, file_id, file.object_name, file.object_version)",
        "pass",
        (f"{LEASELESS_TESTS}::test_copy_of_a_worker_that_died_does_not_hide_that_of_the_one_that_won",),
    ),
    Protection(
        "A copy made after another worker's completion is deleted",
        "_lost_the_row",
        "ours is not None and ours != now.object_version",
        "False",
        (
            f"{STALLED_TESTS}::test_a_stalled_worker_does_no_harm[give-up-overtaken]",
            f"{LEASELESS_TESTS}::test_of_two_workers_at_once_one_wins_and_the_other_takes_its_copy_back",
        ),
    ),
    Protection(
        "A file whose processing was tried before is processed with a lease only",
        "process_upload",
        "at_once and file.status == 'pending' and file.attempts == 0 and (file.file_size <= most_bytes)",
        "at_once",
        (f"{LEASELESS_TESTS}::test_file_that_was_tried_before_needs_a_lease",),
    ),
    Protection(
        "A first try without a lease is counted by the next one",
        "process_upload",
        "replace(file, attempts=max(file.attempts, tries_before))",
        "file",
        ("tests/unit/logic/test_events.py::test_outage_is_not_waited_for_without_end",),
    ),
    Protection(
        "A file that was ended after the copy of a worker that died keeps no copy",
        "_already_settled",
        "stores.objects.delete_permanent_of(file.organization_id, file.file_id)",
        "pass",
        (f"{LEASELESS_TESTS}::test_ended_after_the_copy_of_a_worker_that_died",),
    ),
    Protection(
        "A small file is processed without a lease only while nobody waits for a worker",
        "_is_first_and_fresh",
        "time.time() - message.sent_at <= SHORT_WAIT_SECONDS",
        "True",
        (f"{CALL_TESTS}::test_processing_takes_a_lease_where_it_may_last_or_others_wait[waited]",),
    ),
    Protection(
        "A file that was deleted in the middle of processing leaves no copy",
        "_lost_the_row",
        (
            "stores.objects.delete_permanent(file.organization_id, file.file_id, file.object_name)\n"
            "stores.objects.delete_temp(file.organization_id, file.file_id)"
        ),
        "pass",
        (f"{PROCESSING_TESTS}::test_copy_under_way_at_a_deletion_goes_with_the_file",),
    ),
    Protection(
        "A failed file keeps no copy of a dead attempt",
        "_fail",
        "stores.objects.delete_permanent(file.organization_id, file.file_id, file.object_name)",
        "None",
        (f"{CRASHES_TESTS}::test_a_call_that_keeps_failing_ends_in_failed_and_a_redrive_mends_it[answer lost]",),
    ),
    Protection(
        "A copy whose bytes differ from the checked ones is deleted",
        "ObjectStore.copy_to_permanent",
        "told != wanted",
        "False",
        (
            f"{CHECKED_BYTES_TESTS}::test_twin_that_comes_before_the_copy_is_not_taken_for_what_was_checked",
            f"{CHECKED_BYTES_TESTS}::test_twin_of_bytes_whose_checksum_storage_verified_is_not_taken_for_them",
        ),
    ),
    Protection(
        "A read that goes on over another connection stays with the same bytes",
        "ObjectStore.open_temp",
        "IfMatch=answer['ETag']",
        "pass",
        (f"{OBJECTS_CONTRACT}::TestReading::test_bytes_of_two_uploads_are_never_mixed[moto-overwritten]",),
    ),
    Protection(
        "The upload is deleted only after the row says completed",
        "_complete",
        (
            "try:\n"
            "    stores.files.replace(stored, completed)\n"
            "except VersionConflict:\n"
            "    return _lost_the_row(stores, file, copy=object_version)"
        ),
        (
            "stores.objects.delete_temp(file.organization_id, file.file_id)\n"
            "try:\n"
            "    stores.files.replace(stored, completed)\n"
            "except VersionConflict:\n"
            "    return _lost_the_row(stores, file, copy=object_version)"
        ),
        (f"{PROCESSING_TESTS}::test_bytes_stay_until_the_row_says_what_became_of_them[completed]",),
    ),
    Protection(
        "Bytes with another checksum than announced are refused",
        "check_sha256",
        "file.expected_sha256 and file.expected_sha256 != sha256",
        "False",
        (f"{DIRECT_TESTS}::test_other_bytes_than_announced_fail_and_are_deleted",),
    ),
    Protection(
        "The bytes of a file without a row are deleted",
        "process_upload",
        (
            "stores.objects.delete_temp(organization_id, file_id)\n"
            "stores.objects.delete_permanent_of(organization_id, file_id)"
        ),
        "pass",
        (
            f"{ODD_TESTS}::test_an_announcement_of_an_unknown_file_deletes_its_bytes",
            f"{ODD_TESTS}::test_an_announcement_of_anothers_file_id_under_my_prefix_touches_nothing_of_theirs",
        ),
    ),
)
