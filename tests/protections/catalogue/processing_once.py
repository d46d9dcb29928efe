"""Processing."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    CARE_TESTS,
    CRASHES_TESTS,
    DIRECT_TESTS,
    FILENAMES_TESTS,
    KEYS,
    OBJECT_STORE,
    ODD_TESTS,
    PROCESSING,
    PROCESSING_TESTS,
    REPETITION_TESTS,
    STALLED_TESTS,
)
from tests.protections.catalogue.protection import Protection

PROCESSING_ONCE = (
    Protection(
        "A worker leaves alone what another holds the lease of",
        PROCESSING,
        'return file.status == "processing" and file.lease_owner != worker and file.lease_expires_at > time.time()',
        "return False",
        (f"{REPETITION_TESTS}::test_a_worker_leaves_alone_what_another_holds",),
    ),
    Protection(
        "A worker on its last attempt does not fail what another holds",
        PROCESSING,
        "if file is not None and file.is_open and not _held_by_another(file, worker):",
        "if file is not None and file.is_open:",
        (f"{REPETITION_TESTS}::test_a_worker_on_its_last_attempt_does_not_fail_what_another_holds",),
    ),
    Protection(
        "A lease ends by itself",
        PROCESSING,
        "file.lease_owner != worker and file.lease_expires_at > time.time()",
        "file.lease_owner != worker",
        (f"{PROCESSING_TESTS}::test_lease_that_ran_out_can_be_taken_over",),
    ),
    Protection(
        "A worker that slept for longer than its lease stops",
        PROCESSING,
        "if file.lease_expires_at <= time.time():",
        "if False:",
        (f"{PROCESSING_TESTS}::test_worker_that_slept_for_longer_than_its_lease_touches_nothing",),
    ),
    Protection(
        "Whoever ends a file from outside takes its lease before the copy is touched",
        PROCESSING,
        "    if file.attempts:\n        # A dead attempt may have left",
        "    if False:\n        # A dead attempt may have left",
        (f"{PROCESSING_TESTS}::test_who_ends_a_file_that_was_completed_meanwhile_touches_nothing",),
    ),
    Protection(
        "A copy that came after another worker's completion is taken back",
        PROCESSING,
        'if now.status == "completed" and our_version is not None and our_version != now.object_version:',
        "if False:",
        (f"{STALLED_TESTS}::test_a_stalled_worker_does_no_harm[give-up-overtaken]",),
    ),
    Protection(
        "A file that was deleted in the middle of processing leaves no copy",
        PROCESSING,
        "        stores.objects.delete_permanent(file.organization_id, file.file_id, file.object_name)\n"
        "        stores.objects.delete_temp(file.organization_id, file.file_id)\n"
        "        return Outcome.UNKNOWN_FILE",
        "        return Outcome.UNKNOWN_FILE",
        (f"{PROCESSING_TESTS}::test_copy_under_way_at_a_deletion_goes_with_the_file",),
    ),
    Protection(
        "A failed file keeps no copy of a dead attempt",
        PROCESSING,
        "mark = stores.objects.delete_permanent(",
        "mark = stores.objects.temp_exists and None and (",
        (f"{CRASHES_TESTS}::test_a_call_that_keeps_failing_ends_in_failed_and_a_redrive_mends_it[answer lost]",),
    ),
    Protection(
        "A copy is refused when the object is not the one that was read",
        OBJECT_STORE,
        "                CopySourceIfMatch=source.etag,\n",
        "",
        (
            f"{REPETITION_TESTS}::test_an_object_overwritten_between_hashing_and_copying_is_hashed_again[one call]",
            f"{REPETITION_TESTS}::test_the_copy_is_refused_when_the_object_has_changed",
        ),
    ),
    Protection(
        "So is each part of a copy in parts",
        "chalicelib/platform/large_copy.py",
        "            CopySourceIfMatch=etag,\n",
        "",
        (f"{REPETITION_TESTS}::test_an_object_overwritten_between_hashing_and_copying_is_hashed_again[in parts]",),
    ),
    Protection(
        "A failed copy in parts leaves no parts",
        "chalicelib/platform/large_copy.py",
        "s3.abort_multipart_upload(Bucket=target_bucket, Key=target_key, UploadId=upload_id)",
        "pass",
        (f"{PROCESSING_TESTS}::test_failed_copy_in_parts_leaves_no_parts",),
    ),
    Protection(
        "A stream that ends early is not taken for the file",
        PROCESSING,
        "if size_bytes != source.size_bytes:",
        "if False:",
        (f"{PROCESSING_TESTS}::test_stream_that_ends_early_is_not_taken_for_the_file",),
    ),
    Protection(
        "A checksum of checksums is not taken for one of the file",
        OBJECT_STORE,
        'if not checksum or answer.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT" or "-" in checksum:',
        "if not checksum:",
        (f"{PROCESSING_TESTS}::test_checksum_of_parts_says_nothing_of_the_whole",),
    ),
    Protection(
        "The upload is deleted only after the row says completed",
        PROCESSING,
        "    try:\n        stores.files.replace(file, completed)",
        "    stores.objects.delete_temp(file.organization_id, file.file_id)\n"
        "    try:\n        stores.files.replace(file, completed)",
        (f"{PROCESSING_TESTS}::test_bytes_stay_until_the_row_says_what_became_of_them[completed]",),
    ),
    Protection(
        "What was refused is deleted only after the row says why",
        PROCESSING,
        "    try:\n        stores.files.replace(file, failed)",
        "    if discard_bytes:\n        stores.objects.delete_temp(file.organization_id, file.file_id)\n"
        "    try:\n        stores.files.replace(file, failed)",
        (f"{PROCESSING_TESTS}::test_bytes_stay_until_the_row_says_what_became_of_them[failed]",),
    ),
    Protection(
        "A completed file is not processed again",
        PROCESSING,
        '    if file.status == "completed":\n        # A repeated event',
        "    if False:\n        # A repeated event",
        (
            f"{REPETITION_TESTS}::test_the_same_announcement_many_times_is_one_completion",
            f"{REPETITION_TESTS}::test_a_presigned_upload_used_again_after_completion_changes_nothing",
            f"{REPETITION_TESTS}::test_a_presigned_upload_used_again_while_it_is_processed_ends_with_bytes_that_were_hashed",
        ),
    ),
    Protection(
        "What arrives for a completed file is deleted",
        PROCESSING,
        "what came later goes.\n        stores.objects.delete_temp(file.organization_id, file.file_id)",
        "what came later goes.",
        (f"{DIRECT_TESTS}::test_form_used_again_after_completion_changes_nothing",),
    ),
    Protection(
        "What was refused stays refused",
        PROCESSING,
        'if file.status == "failed" and file.unrecoverable:',
        "if False:",
        (f"{PROCESSING_TESTS}::test_refused_file_fails_at_once_and_its_bytes_go",),
    ),
    Protection(
        "The bytes of a refused file are deleted",
        PROCESSING,
        "    if discard_bytes:\n        # After the row",
        "    if False:\n        # After the row",
        (f"{CARE_TESTS}::test_refused_type_fails_with_the_reason_and_its_bytes_are_deleted",),
    ),
    Protection(
        "Other bytes than announced by checksum are refused",
        PROCESSING,
        "if file.expected_sha256 and file.expected_sha256 != examined.sha256:",
        "if False:",
        (f"{DIRECT_TESTS}::test_other_bytes_than_announced_fail_and_are_deleted",),
    ),
    Protection(
        "Another size than announced is refused",
        PROCESSING,
        "if size_bytes != file.file_size:",
        "if False:",
        (f"{DIRECT_TESTS}::test_other_bytes_than_announced_fail_and_are_deleted",),
    ),
    Protection(
        "The largest size is a bound of what has arrived, too",
        PROCESSING,
        "if size_bytes > most:",
        "if False:",
        (f"{PROCESSING_TESTS}::test_largest_upload_is_a_bound_of_processing_too",),
    ),
    Protection(
        "The policy looks at the type that was found, not at the one that was said",
        PROCESSING,
        "organization.policy.refusal_of(examined.mime_type)",
        "organization.policy.refusal_of(file.declared_type or examined.mime_type)",
        (f"{CARE_TESTS}::test_refused_type_fails_with_the_reason_and_its_bytes_are_deleted",),
    ),
    Protection(
        "The bytes of a file without a row are deleted",
        PROCESSING,
        "        stores.objects.delete_temp(organization_id, file_id)\n"
        "        stores.objects.delete_permanent_of(organization_id, file_id)\n",
        "",
        (
            f"{ODD_TESTS}::test_an_announcement_of_an_unknown_file_deletes_its_bytes",
            f"{ODD_TESTS}::test_an_announcement_of_anothers_file_id_under_my_prefix_touches_nothing_of_theirs",
        ),
    ),
    Protection(
        "An object under a foreign key is deleted",
        PROCESSING,
        "        stores.objects.delete_stray(key)\n",
        "",
        (f"{ODD_TESTS}::test_an_object_under_a_foreign_key_is_removed_whatever_is_in_the_key",),
    ),
    Protection(
        "A key that only begins like one of ours is a foreign one",
        KEYS,
        "match = _TEMP_KEY.fullmatch(key)",
        "match = _TEMP_KEY.match(key)",
        (
            f"{FILENAMES_TESTS}::test_only_our_keys_are_parsed",
            f"{ODD_TESTS}::test_an_object_under_a_foreign_key_is_removed_whatever_is_in_the_key",
        ),
    ),
)
