"""What protects the promises, as small edits that take each protection out, and the tests that must fail then.

An edit leaves code that runs and does what it is for while nobody is hostile and nothing goes wrong. `text` occurs
exactly once in its file.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Protection:
    """``tests`` are pytest's node ids; each of them has to fail without the protection."""

    name: str
    file: str
    text: str
    without: str
    tests: tuple[str, ...]


PROCESSING = "chalicelib/logic/processing.py"
EVENTS = "chalicelib/logic/events.py"
FILES = "chalicelib/logic/files.py"
DIRECT = "chalicelib/logic/direct_uploads.py"
UPLOADS = "chalicelib/logic/uploads.py"
SESSIONS = "chalicelib/logic/sessions.py"
TICKETS = "chalicelib/logic/tickets.py"
ACCOUNTS = "chalicelib/logic/accounts.py"
SWEEPING = "chalicelib/logic/sweeping.py"
FILE_STORE = "chalicelib/stores/files.py"
ORGANIZATION_STORE = "chalicelib/stores/organizations.py"
OBJECT_STORE = "chalicelib/stores/objects.py"
DIRECT_STORE = "chalicelib/stores/direct.py"
COUNTERS = "chalicelib/stores/rate_counters.py"
HTTP = "chalicelib/routes/http.py"
KEYS = "chalicelib/keys.py"

_UNIT = "tests/unit"
_PROCESSING = f"{_UNIT}/logic/test_processing.py"
_EVENTS = f"{_UNIT}/logic/test_events.py"
_SWEEPING = f"{_UNIT}/logic/test_sweeping.py"
_DIRECT = f"{_UNIT}/direct/test_direct_uploads.py"
_COMPANION = f"{_UNIT}/direct/test_companion.py"
_CARE = f"{_UNIT}/direct/test_care_of_files.py"
_TICKETS = f"{_UNIT}/direct/test_tickets.py"
_FILES = f"{_UNIT}/http/test_files.py"
_UPLOADS = f"{_UNIT}/http/test_uploads.py"
_LISTING = f"{_UNIT}/http/test_listing.py"
_LOGIN = f"{_UNIT}/http/test_login.py"
_PASSWORD = f"{_UNIT}/http/test_password.py"
_SESSIONS = f"{_UNIT}/http/test_sessions.py"
_LIMITS = f"{_UNIT}/http/test_limits.py"
_TENANCY = f"{_UNIT}/http/test_tenancy.py"
_CSRF = f"{_UNIT}/http/test_csrf_and_cors.py"
_ERRORS = f"{_UNIT}/http/test_errors.py"
_CURSORS = f"{_UNIT}/properties/test_cursors.py"
_FILENAMES = f"{_UNIT}/properties/test_filenames.py"
_FORMS = f"{_UNIT}/properties/test_forms.py"
_MASKING = f"{_UNIT}/properties/test_masking.py"
_RATE_COUNTERS = f"{_UNIT}/stores/test_rate_counters.py"
_RECOUNT = f"{_UNIT}/operator/test_recount.py"
_REDRIVE = f"{_UNIT}/operator/test_redrive.py"
_MIGRATIONS = f"{_UNIT}/operator/test_migrations.py"
_REPETITION = "tests/faults/test_repetition.py"
_ODD = "tests/faults/test_odd_messages.py"
_STALLED = "tests/faults/test_stalled_workers.py"
_LIMITED = "tests/faults/test_time_limits.py"
_CRASHES = "tests/faults/test_crash_points.py"

ROWS_AND_COUNTERS = (
    Protection(
        "A row is written only while it is as it was read",
        FILE_STORE,
        "condition = FileRow.version == before.version if before else FileRow.file_id.does_not_exist()",
        "condition = FileRow.file_id.exists() if before else FileRow.file_id.does_not_exist()",
        (f"{_PROCESSING}::test_two_workers_at_once_complete_it_once",),
    ),
    Protection(
        "A file is deleted only while it is as it was read",
        FILE_STORE,
        "condition=FileRow.version == file.version,",
        "condition=FileRow.file_id.exists(),",
        (f"{_FILES}::test_file_that_begins_to_be_processed_while_it_is_deleted_is_deleted",),
    ),
    Protection(
        "A write that is refused by its own success is a success",
        FILE_STORE,
        "if self.find(after.organization_id, after.file_id) != written:",
        "if self.find(after.organization_id, after.file_id) is not written:",
        (f"{_CRASHES}::test_a_write_that_is_refused_by_its_own_success_is_a_success",),
    ),
    Protection(
        "The counters move in the transaction of the row",
        FILE_STORE,
        "            self._move_counters(transaction, row.organization_id, difference)\n\n        try:",
        "            self._tables.transact(lambda own: self._move_counters(own, row.organization_id, difference))\n\n"
        "        try:",
        (f"{_REPETITION}::test_several_consumers_at_once_complete_a_file_once[2]",),
    ),
    Protection(
        "The counters move by the difference of the row before and after",
        FILE_STORE,
        "reserved_bytes=(after.reserved_bytes if after else 0) - (before.reserved_bytes if before else 0),",
        "reserved_bytes=after.reserved_bytes if after else 0,",
        (f"{_PROCESSING}::test_upload_is_hashed_recognised_copied_and_completed",),
    ),
    Protection(
        "A deletion gives the room back",
        FILE_STORE,
        "self._move_counters(transaction, file.organization_id, _difference(file, None))",
        "pass",
        (f"{_DIRECT}::TestParts::test_deleted_upload_releases_its_room_and_parts",),
    ),
    Protection(
        "A failure gives the room back",
        PROCESSING,
        "reserved_bytes=0,",
        "reserved_bytes=file.reserved_bytes,",
        (f"{_PROCESSING}::test_missing_object_fails_at_once_and_says_so",),
    ),
    Protection(
        "A failed file counts towards no quota of files",
        FILE_STORE,
        'return 0 if file is None or file.status == "failed" else 1',
        "return 0 if file is None else 1",
        (f"{_PROCESSING}::test_missing_object_fails_at_once_and_says_so",),
    ),
    Protection(
        "No upload goes beyond the quota of bytes",
        FILE_STORE,
        "if difference.reserved_bytes > 0:",
        "if False:",
        (f"{_DIRECT}::test_file_above_the_quota_is_409_with_the_numbers",),
    ),
    Protection(
        "No upload goes beyond the quota of files",
        FILE_STORE,
        "if difference.reserved_files > 0:",
        "if False:",
        (f"{_UPLOADS}::test_full_organisation_takes_no_more_and_says_how_full",),
    ),
    Protection(
        "A failed file takes its room again when it is processed again",
        PROCESSING,
        "reserved_bytes=file.file_size,",
        "reserved_bytes=file.reserved_bytes,",
        (f"{_PROCESSING}::test_failed_file_does_not_come_back_into_a_full_organization",),
    ),
    Protection(
        "A failed file takes its room again when it is retried",
        FILES,
        "reserved_bytes=file.file_size,",
        "reserved_bytes=file.reserved_bytes,",
        (f"{_CARE}::test_retry_without_room_is_409",),
    ),
    Protection(
        "An upload whose bytes could not be stored is taken back",
        UPLOADS,
        "arrived = take_back(stores, file, error)",
        "arrived = None",
        (f"{_UPLOADS}::test_outage_is_503_and_leaves_nothing",),
    ),
    Protection(
        "A recount during which something changed counts for nothing",
        "chalicelib/logic/recounting.py",
        "if after is not None and after.counter_changes == before.counter_changes:",
        "if after is not None:",
        (f"{_RECOUNT}::test_count_during_which_something_changed_is_made_again",),
    ),
    Protection(
        "An exchange that leaves the counters as they were is a change too",
        FILE_STORE,
        "            OrganizationRow.counter_changes.add(1),\n",
        "",
        (
            f"{_RECOUNT}::test_exchange_that_leaves_the_counters_as_they_were_is_a_change",
            f"{_RECOUNT}::test_exchange_since_the_count_is_not_overwritten",
        ),
    ),
    Protection(
        "Counters that moved since the recount are not overwritten",
        ORGANIZATION_STORE,
        "                condition=unchanged,\n",
        "",
        (f"{_RECOUNT}::test_counters_that_moved_since_they_were_counted_are_not_overwritten",),
    ),
)

PROCESSING_ONCE = (
    Protection(
        "A worker leaves alone what another holds the lease of",
        PROCESSING,
        'return file.status == "processing" and file.lease_owner != worker and file.lease_expires_at > time.time()',
        "return False",
        (f"{_REPETITION}::test_a_worker_leaves_alone_what_another_holds",),
    ),
    Protection(
        "A worker on its last attempt does not fail what another holds",
        PROCESSING,
        "if file is not None and file.is_open and not _held_by_another(file, worker):",
        "if file is not None and file.is_open:",
        (f"{_REPETITION}::test_a_worker_on_its_last_attempt_does_not_fail_what_another_holds",),
    ),
    Protection(
        "A lease ends by itself",
        PROCESSING,
        "file.lease_owner != worker and file.lease_expires_at > time.time()",
        "file.lease_owner != worker",
        (f"{_PROCESSING}::test_lease_that_ran_out_can_be_taken_over",),
    ),
    Protection(
        "A worker that slept for longer than its lease stops",
        PROCESSING,
        "if file.lease_expires_at <= time.time():",
        "if False:",
        (f"{_PROCESSING}::test_worker_that_slept_for_longer_than_its_lease_touches_nothing",),
    ),
    Protection(
        "Whoever ends a file from outside takes its lease before the copy is touched",
        PROCESSING,
        "    if file.attempts:\n        # A dead attempt may have left",
        "    if False:\n        # A dead attempt may have left",
        (f"{_PROCESSING}::test_who_ends_a_file_that_was_completed_meanwhile_touches_nothing",),
    ),
    Protection(
        "A copy that came after another worker's completion is taken back",
        PROCESSING,
        'if now.status == "completed" and our_version is not None and our_version != now.object_version:',
        "if False:",
        (f"{_STALLED}::test_a_stalled_worker_does_no_harm[give-up-overtaken]",),
    ),
    Protection(
        "A file that was deleted in the middle of processing leaves no copy",
        PROCESSING,
        "        stores.objects.delete_permanent(file.organization_id, file.file_id, file.object_name)\n"
        "        stores.objects.delete_temp(file.organization_id, file.file_id)\n"
        "        return Outcome.UNKNOWN_FILE",
        "        return Outcome.UNKNOWN_FILE",
        (f"{_PROCESSING}::test_copy_under_way_at_a_deletion_goes_with_the_file",),
    ),
    Protection(
        "A failed file keeps no copy of a dead attempt",
        PROCESSING,
        "mark = stores.objects.delete_permanent(",
        "mark = stores.objects.temp_exists and None and (",
        (f"{_CRASHES}::test_a_call_that_keeps_failing_ends_in_failed_and_a_redrive_mends_it[answer lost]",),
    ),
    Protection(
        "A copy is refused when the object is not the one that was read",
        OBJECT_STORE,
        "                CopySourceIfMatch=source.etag,\n",
        "",
        (
            f"{_REPETITION}::test_an_object_overwritten_between_hashing_and_copying_is_hashed_again[one call]",
            f"{_REPETITION}::test_the_copy_is_refused_when_the_object_has_changed",
        ),
    ),
    Protection(
        "So is each part of a copy in parts",
        "chalicelib/stores/large_copy.py",
        "            CopySourceIfMatch=etag,\n",
        "",
        (f"{_REPETITION}::test_an_object_overwritten_between_hashing_and_copying_is_hashed_again[in parts]",),
    ),
    Protection(
        "A failed copy in parts leaves no parts",
        "chalicelib/stores/large_copy.py",
        "s3.abort_multipart_upload(Bucket=target_bucket, Key=target_key, UploadId=upload_id)",
        "pass",
        (f"{_PROCESSING}::test_failed_copy_in_parts_leaves_no_parts",),
    ),
    Protection(
        "A stream that ends early is not taken for the file",
        PROCESSING,
        "if size_bytes != source.size_bytes:",
        "if False:",
        (f"{_PROCESSING}::test_stream_that_ends_early_is_not_taken_for_the_file",),
    ),
    Protection(
        "A checksum of checksums is not taken for one of the file",
        OBJECT_STORE,
        'if not checksum or answer.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT" or "-" in checksum:',
        "if not checksum:",
        (f"{_PROCESSING}::test_checksum_of_parts_says_nothing_of_the_whole",),
    ),
    Protection(
        "The upload is deleted only after the row says completed",
        PROCESSING,
        "    try:\n        stores.files.replace(file, completed)",
        "    stores.objects.delete_temp(file.organization_id, file.file_id)\n"
        "    try:\n        stores.files.replace(file, completed)",
        (f"{_PROCESSING}::test_bytes_stay_until_the_row_says_what_became_of_them[completed]",),
    ),
    Protection(
        "What was refused is deleted only after the row says why",
        PROCESSING,
        "    try:\n        stores.files.replace(file, failed)",
        "    if discard_bytes:\n        stores.objects.delete_temp(file.organization_id, file.file_id)\n"
        "    try:\n        stores.files.replace(file, failed)",
        (f"{_PROCESSING}::test_bytes_stay_until_the_row_says_what_became_of_them[failed]",),
    ),
    Protection(
        "A completed file is not processed again",
        PROCESSING,
        '    if file.status == "completed":\n        # A repeated event',
        "    if False:\n        # A repeated event",
        (
            f"{_REPETITION}::test_the_same_announcement_many_times_is_one_completion",
            f"{_REPETITION}::test_a_presigned_upload_used_again_after_completion_changes_nothing",
            f"{_REPETITION}::test_a_presigned_upload_used_again_while_it_is_processed_ends_with_bytes_that_were_hashed",
        ),
    ),
    Protection(
        "What arrives for a completed file is deleted",
        PROCESSING,
        "what came later goes.\n        stores.objects.delete_temp(file.organization_id, file.file_id)",
        "what came later goes.",
        (f"{_DIRECT}::test_form_used_again_after_completion_changes_nothing",),
    ),
    Protection(
        "What was refused stays refused",
        PROCESSING,
        'if file.status == "failed" and file.unrecoverable:',
        "if False:",
        (f"{_PROCESSING}::test_refused_file_fails_at_once_and_its_bytes_go",),
    ),
    Protection(
        "The bytes of a refused file are deleted",
        PROCESSING,
        "    if discard_bytes:\n        # After the row",
        "    if False:\n        # After the row",
        (f"{_CARE}::test_refused_type_fails_with_the_reason_and_its_bytes_are_deleted",),
    ),
    Protection(
        "Other bytes than announced by checksum are refused",
        PROCESSING,
        "if file.expected_sha256 and file.expected_sha256 != examined.sha256:",
        "if False:",
        (f"{_DIRECT}::test_other_bytes_than_announced_fail_and_are_deleted",),
    ),
    Protection(
        "Another size than announced is refused",
        PROCESSING,
        "if size_bytes != file.file_size:",
        "if False:",
        (f"{_DIRECT}::test_other_bytes_than_announced_fail_and_are_deleted",),
    ),
    Protection(
        "The largest size is a bound of what has arrived, too",
        PROCESSING,
        "if size_bytes > most:",
        "if False:",
        (f"{_PROCESSING}::test_largest_upload_is_a_bound_of_processing_too",),
    ),
    Protection(
        "The policy looks at the type that was found, not at the one that was said",
        PROCESSING,
        "organization.policy.refusal_of(examined.mime_type)",
        "organization.policy.refusal_of(file.declared_type or examined.mime_type)",
        (f"{_CARE}::test_refused_type_fails_with_the_reason_and_its_bytes_are_deleted",),
    ),
    Protection(
        "The bytes of a file without a row are deleted",
        PROCESSING,
        "        stores.objects.delete_temp(organization_id, file_id)\n"
        "        stores.objects.delete_permanent_of(organization_id, file_id)\n",
        "",
        (
            f"{_ODD}::test_an_announcement_of_an_unknown_file_deletes_its_bytes",
            f"{_ODD}::test_an_announcement_of_anothers_file_id_under_my_prefix_touches_nothing_of_theirs",
        ),
    ),
    Protection(
        "An object under a foreign key is deleted",
        PROCESSING,
        "        stores.objects.delete_stray(key)\n",
        "",
        (f"{_ODD}::test_an_object_under_a_foreign_key_is_removed_whatever_is_in_the_key",),
    ),
    Protection(
        "A key that only begins like one of ours is a foreign one",
        KEYS,
        "match = _TEMP_KEY.fullmatch(key)",
        "match = _TEMP_KEY.match(key)",
        (
            f"{_FILENAMES}::test_only_our_keys_are_parsed",
            f"{_ODD}::test_an_object_under_a_foreign_key_is_removed_whatever_is_in_the_key",
        ),
    ),
)

ISOLATION = (
    Protection(
        "A file is found by its organisation only",
        FILE_STORE,
        "return _to_file(FileRow.get(organization_id, file_id, consistent_read=True))",
        "return next((_to_file(row) for row in FileRow.scan(FileRow.file_id == file_id)), None)",
        (f"{_TENANCY}::test_file_of_another_organization_is_404_and_stays_as_it_is",),
    ),
    Protection(
        "A list has the files of its organisation only",
        FILE_STORE,
        "return FileRow.query(organization_id, older, consistent_read=True, **options)",
        "return FileRow.scan(limit=limit)",
        (f"{_TENANCY}::test_list_shows_the_own_organization_only",),
    ),
    Protection(
        "So has a list of one status",
        KEYS,
        'return f"{organization_id}#{status}"\n',
        'return f"#{status}"\n',
        (f"{_TENANCY}::test_list_shows_the_own_organization_only",),
    ),
    Protection(
        "Two files never share an object",
        KEYS,
        'return f"{organization_id}/{file_id}_"',
        'return f"{organization_id}/_"',
        (
            f"{_UPLOADS}::test_two_files_of_one_name_are_two_files",
            f"{_REPETITION}::test_announcements_in_any_order_each_bring_their_own_file_to_its_end",
        ),
    ),
    Protection(
        "A stranger's file is unknown before anything is said of the request",
        "chalicelib/routes/files.py",
        "    files.get_file(stores(), caller, file_id)\n    return",
        "    return",
        (f"{_TENANCY}::test_file_of_another_organization_is_404_and_stays_as_it_is",),
    ),
)

QUEUE = (
    Protection(
        "Bytes that are gone are told at once",
        PROCESSING,
        "        raise PermanentFault(BYTES_GONE) from None",
        "        raise",
        (
            f"{_ODD}::test_an_announcement_of_an_object_that_is_gone_fails_with_a_reason",
            f"{_REPETITION}::test_an_object_deleted_between_hashing_and_copying_fails_with_a_reason",
        ),
    ),
    Protection(
        "A permanent fault is not tried again",
        PROCESSING,
        "        _require_lease(taken)\n        return _fail(stores, taken, fault.reason,"
        " discard_bytes=fault.discard_bytes)",
        "        raise RuntimeError(fault.reason) from fault",
        (f"{_EVENTS}::test_permanent_fault_is_not_tried_again",),
    ),
    Protection(
        "The last attempt writes failed into the row",
        EVENTS,
        "        give_up(stores, key, worker=message.message_id)",
        "        pass",
        (f"{_REPETITION}::test_a_file_that_failed_three_times_is_a_dead_letter_that_can_be_redriven",),
    ),
    Protection(
        "The wait before the next attempt grows",
        EVENTS,
        "0 if _is_last(message) else BACKOFF_BASE_SECONDS**message.receives",
        "0",
        (f"{_REPETITION}::test_a_failed_attempt_is_shown_again_after_two_to_the_power_of_its_number_of_seconds",),
    ),
    Protection(
        "Of a batch only what failed is kept",
        EVENTS,
        "for message in failed]}",
        "for message in (messages if failed else [])]}",
        (f"{_EVENTS}::test_one_bad_message_of_a_batch_holds_up_no_other",),
    ),
    Protection(
        "What failed is kept",
        EVENTS,
        "for message in failed]}",
        "for message in failed[:0]]}",
        (f"{_REPETITION}::test_of_a_batch_only_what_failed_is_shown_again",),
    ),
    Protection(
        "A message that can't be read takes no other along",
        EVENTS,
        "    except (KeyError, TypeError, AttributeError) as error:",
        "    except ZeroDivisionError as error:",
        (f"{_ODD}::test_a_malformed_message_does_not_take_the_rest_of_its_batch_along",),
    ),
    Protection(
        "A message that can't be read becomes a dead letter",
        EVENTS,
        "        _show_again(stores, message)\n        return False\n    done =",
        "        return True\n    done =",
        (f"{_ODD}::test_a_malformed_message_becomes_a_dead_letter_as_it_was",),
    ),
    Protection(
        "A message that is nested too deep is one that can't be read",
        EVENTS,
        "    except RecursionError:",
        "    except ZeroDivisionError:",
        (f"{_EVENTS}::test_malformed_message_goes_to_the_dead_letters_soon[very deep]",),
    ),
    Protection(
        "S3's test event is passed over",
        EVENTS,
        'if notification.get("Event") == "s3:TestEvent":',
        "if False:",
        (f"{_ODD}::test_the_test_event_of_s3_is_taken_note_of_and_dropped",),
    ),
    Protection(
        "A plus in a key of an event is a space",
        EVENTS,
        'unquote_plus(record["s3"]["object"]["key"])',
        'unquote_plus(record["s3"]["object"]["key"].replace("+", "%2B"))',
        (
            f"{_EVENTS}::test_key_is_read_as_storage_writes_it",
            f"{_ODD}::test_an_object_under_a_foreign_key_is_removed_whatever_is_in_the_key",
        ),
    ),
    Protection(
        "Events of other buckets are passed over",
        EVENTS,
        '            and stores.objects.is_temp_bucket(record["s3"]["bucket"]["name"])\n',
        "",
        (f"{_ODD}::test_an_announcement_of_another_bucket_touches_nothing",),
    ),
    Protection(
        "Other events than the arrival of an object are passed over",
        EVENTS,
        'if str(record["eventName"]).startswith("ObjectCreated:")\n            and ',
        'if str(record["eventName"]) != "" and ',
        (f"{_ODD}::test_other_events_of_s3_are_dropped",),
    ),
    Protection(
        "A delivery that the local consumer never got comes again soon",
        "infra/local/consumer.py",
        "            VisibilityTimeout=DELIVERY_SECONDS,\n",
        "",
        (f"{_EVENTS}::test_delivery_that_the_local_consumer_never_got_comes_again_soon",),
    ),
    Protection(
        "A message in work is hidden for as long as the queue says",
        "infra/local/consumer.py",
        "VisibilityTimeout=self._visibility_seconds,",
        "VisibilityTimeout=DELIVERY_SECONDS,",
        (f"{_EVENTS}::test_message_in_work_is_hidden_for_as_long_as_the_queue_says",),
    ),
    Protection(
        "A connection that breaks while an upload is read is taken up where it broke",
        "chalicelib/stores/streams.py",
        "if position == opened_at:",
        "if True:",
        ("tests/faults/test_broken_connections.py::test_breaks_in_the_middle_cost_no_attempt",),
    ),
    Protection(
        "A connection that breaks after the last byte is not taken up",
        "chalicelib/stores/streams.py",
        "if position >= size_bytes:",
        "if False:",
        ("tests/faults/test_broken_connections.py::test_breaks_in_the_middle_cost_no_attempt",),
    ),
    Protection(
        "What is read after a break belongs to the same bytes",
        OBJECT_STORE,
        'Range=f"bytes={first_byte}-", IfMatch=answer["ETag"]',
        'Range=f"bytes={first_byte}-"',
        ("tests/faults/test_broken_connections.py::test_bytes_of_two_uploads_are_never_mixed",),
    ),
    Protection(
        "The local consumer deletes only what was handled",
        "infra/local/consumer.py",
        'if message["MessageId"] not in kept:',
        "if True:",
        (f"{_EVENTS}::test_local_consumer_deletes_only_what_was_handled",),
    ),
    Protection(
        "A dead letter is deleted only after it was sent again",
        "infra/redrive.py",
        "                sqs.send_message(QueueUrl=settings.uploads_queue_url, MessageBody=body)\n"
        "                sqs.delete_message(QueueUrl=settings.dead_letter_queue_url, ReceiptHandle=handle)\n",
        "                sqs.delete_message(QueueUrl=settings.dead_letter_queue_url, ReceiptHandle=handle)\n"
        "                sqs.send_message(QueueUrl=settings.uploads_queue_url, MessageBody=body)\n",
        (f"{_REDRIVE}::test_when_sending_fails_midway_nothing_is_lost_and_the_next_run_moves_the_rest_at_once",),
    ),
)

DELETION_AND_SWEEP = (
    Protection(
        "An upload that never comes gives its room back",
        SWEEPING,
        "end_as_failed(stores, item, NEVER_ARRIVED, WORKER)",
        "stores.files.replace(item, item)",
        (f"{_SWEEPING}::test_upload_that_never_came_fails_and_gives_its_room_back",),
    ),
    Protection(
        "The note of a deletion stays until the objects are gone",
        FILES,
        '    discard_upload(stores, file)\n    if file.status == "processing":',
        '    stores.files.forget(removed)\n    discard_upload(stores, file)\n    if file.status == "processing":',
        (f"{_FILES}::test_storage_away_while_deleting_is_finished_by_the_sweep",),
    ),
    Protection(
        "The note of a deletion outlives the lease of a worker that may still copy",
        FILES,
        'if file.status == "processing":',
        "if False:",
        (f"{_SWEEPING}::test_copy_under_way_at_a_deletion_is_deleted_when_the_lease_of_its_worker_is_over",),
    ),
    Protection(
        "The sweep leaves deletions alone while a worker may still copy",
        SWEEPING,
        "if _lease_runs(item.file):",
        "if False:",
        (f"{_SWEEPING}::test_copy_under_way_at_a_deletion_is_deleted_when_the_lease_of_its_worker_is_over",),
    ),
    Protection(
        "The sweep leaves alone what a worker holds",
        SWEEPING,
        "if _lease_runs(item):",
        "if False:",
        (f"{_SWEEPING}::test_crashed_attempt_is_taken_up_when_its_lease_is_over",),
    ),
    Protection(
        "The sweep leaves alone what may still arrive",
        SWEEPING,
        'if item.status == "pending" and item.upload_expires_at > time.time():',
        "if False:",
        (f"{_DIRECT}::TestParts::test_upload_that_never_comes_is_expired_and_released",),
    ),
    Protection(
        "Open files are in the index that the sweep reads",
        FILE_STORE,
        "row.unfinished_shard = keys.unfinished_shard(file.file_id)\n    return row",
        "pass\n    return row",
        (f"{_SWEEPING}::test_upload_whose_message_was_lost_is_announced_again",),
    ),
    Protection(
        "So are the notes of deletions",
        FILE_STORE,
        "        note.unfinished_shard = keys.unfinished_shard(file.file_id)\n",
        "        note.unfinished_shard = None\n",
        (
            f"{_FILES}::test_storage_away_while_deleting_is_finished_by_the_sweep",
            f"{_CRASHES}::test_every_fault_ends_well[delete-completed]",
        ),
    ),
    Protection(
        "The sweep reads every page of the temp bucket",
        OBJECT_STORE,
        'for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._temp_bucket):',
        "for page in [self._s3.list_objects_v2(Bucket=self._temp_bucket)]:",
        (f"{_SWEEPING}::test_strays_are_found_on_every_page",),
    ),
    Protection(
        "The sweep leaves young objects alone",
        OBJECT_STORE,
        'if item["LastModified"] < moment:',
        "if True:",
        (f"{_SWEEPING}::test_what_is_young_is_left_alone",),
    ),
    Protection(
        "One item that can't be swept does not hold up the others",
        SWEEPING,
        '        done["errors"] += 1\n',
        '        done["errors"] += MAX_ERRORS\n',
        (f"{_SWEEPING}::test_one_item_that_fails_does_not_hold_up_the_others",),
    ),
    Protection(
        "A sweep gives up when it is no longer the items",
        SWEEPING,
        'if done["errors"] >= MAX_ERRORS:',
        "if False:",
        (f"{_LIMITED}::test_a_sweep_with_much_to_do_gives_up_in_time_when_storage_hangs",),
    ),
    Protection(
        "A file that kills its worker every time is given up",
        SWEEPING,
        "if item.attempts >= MAX_STARTS:",
        "if False:",
        (f"{_SWEEPING}::test_file_that_kills_every_worker_is_given_up",),
    ),
)

DIRECT_UPLOADS = (
    Protection(
        "A presigned form takes exactly the announced size",
        DIRECT,
        "least_bytes=file.file_size if file.size_is_exact else 0,\n        most_bytes=file.file_size,",
        "least_bytes=0,\n        most_bytes=5 * 1024**4,",
        (f"{_DIRECT}::test_small_file_gets_a_form_that_allows_exactly_it",),
    ),
    Protection(
        "A presigned form takes exactly its key",
        DIRECT_STORE,
        "            keys.temp_key(organization_id, file_id),\n            Fields=",
        '            keys.temp_key(organization_id, file_id) + "${filename}",\n            Fields=',
        (f"{_DIRECT}::test_small_file_gets_a_form_that_allows_exactly_it",),
    ),
    Protection(
        "A presigned form takes exactly the announced type",
        DIRECT_STORE,
        "conditions += [{name: value} for name, value in fields.items()]",
        'conditions += [{name: value} for name, value in fields.items() if name != "Content-Type"]',
        (f"{_DIRECT}::test_small_file_gets_a_form_that_allows_exactly_it",),
    ),
    Protection(
        "A presigned form takes exactly the announced checksum",
        DIRECT_STORE,
        "conditions += [{name: value} for name, value in fields.items()]",
        'conditions += [{name: value} for name, value in fields.items() if name != "x-amz-checksum-sha256"]',
        (f"{_DIRECT}::test_small_file_gets_a_form_that_allows_exactly_it",),
    ),
    Protection(
        "The URL of a part takes exactly its length",
        DIRECT_STORE,
        'params["ContentLength"] = exact_bytes',
        "pass",
        (f"{_DIRECT}::TestParts::test_url_takes_exactly_the_bytes_of_its_part",),
    ),
    Protection(
        "Only the user who started an upload can go on with it",
        DIRECT,
        "file is None or file.uploaded_by_id != caller.user_id or file.multipart_upload_id is None",
        "file is None or file.multipart_upload_id is None",
        (f"{_DIRECT}::TestParts::test_nobody_else_can_name_the_upload",),
    ),
    Protection(
        "Only with its own upload id",
        DIRECT,
        "if upload_id is not None and upload_id != file.multipart_upload_id:",
        "if False:",
        (f"{_COMPANION}::test_nobody_else_can_use_the_upload",),
    ),
    Protection(
        "An outage ends no file after its first three tries",
        EVENTS,
        "if stores.is_outage(error) and postpone(stores, key, worker=message.message_id):",
        "if False:",
        (f"{_EVENTS}::test_outage_is_waited_for",),
    ),
    Protection(
        "Waiting for the end of an outage has an end",
        PROCESSING,
        "if file.attempts >= MAX_STARTS:",
        "if False:",
        (f"{_EVENTS}::test_outage_is_not_waited_for_without_end",),
    ),
    Protection(
        "Who waits for the end of an outage lets go of the file",
        PROCESSING,
        "stores.files.replace(file, replace(file, lease_owner=None, lease_expires_at=0))",
        "pass",
        (f"{_EVENTS}::test_outage_is_waited_for",),
    ),
    Protection(
        "An answer in time, however long storage takes to put parts together",
        DIRECT_STORE,
        "        except (TimeoutError, ReadTimeoutError):\n            return False",
        "        except ReadTimeoutError:\n            return False",
        (f"{_DIRECT}::TestStorageTakesItsTime::test_answer_comes_before_storage_is_done",),
    ),
    Protection(
        "The sweep asks again for parts that storage never put together",
        DIRECT,
        "return stores.files.replace(file, replace(file, completing=True))",
        "return file",
        (f"{_DIRECT}::TestStorageTakesItsTime::test_sweep_asks_again_when_storage_never_finished",),
    ),
    Protection(
        "Asking again to put parts together gives the same answer",
        DIRECT,
        'if file.status in ("processing", "completed"):',
        "if False:",
        (f"{_REPETITION}::test_parts_are_put_together_once_however_often_it_is_asked",),
    ),
    Protection(
        "Putting together needs exactly the announced bytes",
        DIRECT,
        "if arrived_bytes != file.file_size:",
        "if False:",
        (f"{_DIRECT}::TestParts::test_missing_bytes_are_409_and_the_upload_goes_on",),
    ),
    Protection(
        "Who announced no size gets no more than the largest",
        DIRECT,
        "if arrived_bytes > stores.settings.max_direct_upload_bytes:",
        "if False:",
        (f"{_COMPANION}::test_more_than_the_largest_size_is_not_put_together",),
    ),
    Protection(
        "Who announced no size takes the room of what has arrived",
        DIRECT,
        "replace(file, file_size=arrived_bytes, reserved_bytes=arrived_bytes, size_is_exact=True)",
        "replace(file, file_size=arrived_bytes, size_is_exact=True)",
        (f"{_COMPANION}::test_multipart_from_start_to_end",),
    ),
    Protection(
        "Putting together overwrites no object",
        DIRECT_STORE,
        '                    IfNoneMatch="*",\n',
        "",
        (f"{_DIRECT}::TestParts::test_putting_together_overwrites_no_object",),
    ),
    Protection(
        "A part counts only with the ETag that the client knows",
        DIRECT,
        "if part is None or part.etag != etag.strip('\"'):",
        "if part is None:",
        (f"{_DIRECT}::TestParts::test_wrong_list_of_parts_completes_nothing",),
    ),
    Protection(
        "No more parts are signed than the upload can need",
        DIRECT,
        "if not 1 <= number <= most:",
        "if False:",
        (f"{_COMPANION}::test_upload_that_said_its_size_gets_no_more_parts_than_it_can_need",),
    ),
    Protection(
        "An upload above the largest size is not begun",
        DIRECT,
        "    if size_bytes > most:",
        "    if False:",
        (f"{_DIRECT}::test_file_above_the_limit_is_413",),
    ),
    Protection(
        "A ticket expires",
        TICKETS,
        " or ticket.expires_at <= now:",
        ":",
        (f"{_TICKETS}::test_ticket_expires",),
    ),
    Protection(
        "A ticket dies with its session",
        TICKETS,
        "if session is None or session.expires_at <= now:",
        "if False:",
        (f"{_TICKETS}::test_ticket_dies_with_the_session_that_drew_it",),
    ),
    Protection(
        "A ticket is no session",
        SESSIONS,
        "session is None or session.ticket_of is not None or",
        "session is None or",
        (f"{_TICKETS}::test_ticket_is_no_session",),
    ),
)

SESSIONS_AND_LIMITS = (
    Protection(
        "Of a token only the hash is stored",
        "chalicelib/records.py",
        'return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")',
        "return token",
        (
            f"{_LOGIN}::test_token_is_stored_as_a_hash_only",
            f"{_SESSIONS}::test_stored_hash_is_not_a_token",
            f"{_TICKETS}::test_only_the_hash_of_a_ticket_is_stored",
        ),
    ),
    Protection(
        "Logging out ends the session on the server",
        SESSIONS,
        "return stores.users.replace(user, changed, [token_hash])",
        "return stores.users.replace(user, changed, [])",
        (
            f"{_SESSIONS}::test_after_logout_the_session_is_dead",
            f"{_TENANCY}::test_session_that_was_ended_is_401_everywhere",
        ),
    ),
    Protection(
        "Disabling a user, or a new password, ends every session",
        ACCOUNTS,
        "return stores.users.replace(user, changed, open_sessions(user))",
        "return stores.users.replace(user, changed, [])",
        (
            f"{_SESSIONS}::test_disabled_user_is_out_at_once",
            f"{_SESSIONS}::test_changed_password_ends_every_session",
        ),
    ),
    Protection(
        "Another password is taken only from who knows the present one",
        ACCOUNTS,
        "if not password_matches(current, user.password_hash, cost):",
        "if not current:",
        (f"{_PASSWORD}::test_wrong_current_password_changes_nothing",),
    ),
    Protection(
        "A password that is tried first is refused",
        "chalicelib/logic/passwords.py",
        "if username is not None and _is_tried_first(password, username):",
        "if username is None:",
        (
            f"{_PASSWORD}::test_unusable_one_is_named_and_changes_nothing",
            f"{_UNIT}/logic/test_accounts.py::test_username_is_no_password",
        ),
    ),
    Protection(
        "A name of endless accents keeps no login busy",
        SESSIONS,
        "if len(name) > MAX_TYPED_CHARACTERS:",
        "if False:",
        (f"{_UNIT}/http/test_login.py::test_accents_without_end_keep_nobody_busy",),
    ),
    Protection(
        "A password of endless accents keeps no login busy",
        "chalicelib/logic/passwords.py",
        " if len(password) <= MAX_COMPOSED_CHARACTERS else password",
        "",
        (f"{_UNIT}/http/test_login.py::test_accents_without_end_keep_nobody_busy",),
    ),
    Protection(
        "A filename of endless accents keeps no upload busy",
        KEYS,
        "if len(name) > 2 * MAX_HALF_CHARACTERS:",
        "if False:",
        (f"{_UNIT}/properties/test_filenames.py::test_beginning_and_end_of_a_name_of_megabytes_are_kept",),
    ),
    Protection(
        "One's own new password ends every other session",
        ACCOUNTS,
        "[ended for ended in open_sessions(user) if ended != token_hash]",
        "[]",
        (f"{_PASSWORD}::test_every_other_session_ends_and_this_one_goes_on",),
    ),
    Protection(
        "A session that was ended meanwhile changes no password",
        ACCOUNTS,
        "if user is None or token_hash not in open_sessions(user):",
        "if user is None:",
        (f"{_PASSWORD}::test_session_that_is_ended_meanwhile_changes_nothing",),
    ),
    Protection(
        "A stolen session is no way to guess the password",
        "chalicelib/routes/auth.py",
        "limits.count_login(stores(), source_address(request), caller.username)",
        "limits.count_request(stores(), caller)",
        (f"{_PASSWORD}::test_guessing_is_limited_like_logging_in",),
    ),
    Protection(
        "A session expires by our clock",
        SESSIONS,
        " or session.expires_at <= time.time():",
        ":",
        (f"{_SESSIONS}::test_session_ends_after_its_absolute_time",),
    ),
    Protection(
        "A disabled user can't sign in",
        SESSIONS,
        "if user is None or not matches or user.disabled:",
        "if user is None or not matches:",
        (f"{_LOGIN}::test_disabled_user_is_told_no_more_than_anyone",),
    ),
    Protection(
        "A login under way does not survive a change of the user",
        "chalicelib/stores/users.py",
        "condition=(UserRow.version == user.version) & (UserRow.disabled == False),",
        "condition=UserRow.user_id.exists(),",
        (f"{_LOGIN}::test_login_under_way_does_not_survive_a_change_of_the_user",),
    ),
    Protection(
        "An unknown user costs the work of a wrong password",
        "chalicelib/logic/passwords.py",
        'bcrypt.checkpw(encoded[:MAX_PASSWORD_BYTES].replace(b"\\x00", b"x"), _decoy(cost))',
        "pass",
        (f"{_LOGIN}::test_unknown_user_costs_the_same_work_as_a_wrong_password",),
    ),
    Protection(
        "A password that is too long is not cut into the right one",
        "chalicelib/logic/passwords.py",
        "comparable = len(encoded) <= MAX_PASSWORD_BYTES and",
        "encoded = encoded[:MAX_PASSWORD_BYTES]\n    comparable =",
        (f"{_LOGIN}::test_long_password_can_not_be_cut_into_the_right_one",),
    ),
    Protection(
        "A write by cookie from a foreign page is refused",
        HTTP,
        "if by_cookie and request.method not in SAFE_METHODS:",
        "if False:",
        (
            f"{_CSRF}::test_write_by_cookie_from_a_foreign_page_is_403",
            f"{_CSRF}::test_foreign_page_can_neither_log_out_nor_delete",
        ),
    ),
    Protection(
        "So is the one reading request that reserves room",
        "chalicelib/routes/companion.py",
        "if token_of(request)[1]:",
        "if False:",
        (f"{_COMPANION}::test_parameters_for_a_foreign_page_are_refused_by_cookie",),
    ),
    Protection(
        "A body that a foreign page can send unasked is not read as JSON",
        HTTP,
        '    if media_type(request.headers) != JSON:\n        raise UnsupportedMediaType("Send the body',
        '    if False:\n        raise UnsupportedMediaType("Send the body',
        (f"{_LOGIN}::test_body_that_a_foreign_page_could_send_unasked_is_415",),
    ),
    Protection(
        "Logins are limited by address",
        "chalicelib/logic/limits.py",
        "stores, settings.rate_limit_login_per_address,",
        'stores, "1000000/minute",',
        (f"{_LIMITS}::test_sixth_login_of_a_minute_is_429_even_with_the_right_password",),
    ),
    Protection(
        "Each address has a limit of its own",
        "chalicelib/logic/limits.py",
        '"Too many login attempts.", "login-address", address',
        '"Too many login attempts.", "login-address", "all"',
        (f"{_LIMITS}::test_logins_are_counted_by_address",),
    ),
    Protection(
        "Requests of a user are limited",
        "chalicelib/logic/limits.py",
        "stores.settings.rate_limit_signed_in,",
        '"1000000/minute",',
        (f"{_LIMITS}::test_signed_in_users_have_a_wide_limit_each",),
    ),
    Protection(
        "An address is not what the client says of itself",
        HTTP,
        'return str(request.context.get("identity", {}).get("sourceIp") or "unknown")',
        'return str(request.headers.get("x-forwarded-for") or request.context["identity"]["sourceIp"])',
        (f"{_LIMITS}::test_address_can_not_be_made_up",),
    ),
    Protection(
        "Logins are limited by username",
        "chalicelib/logic/limits.py",
        "stores, settings.rate_limit_login_per_username,",
        'stores, "1000000/minute",',
        (f"{_LIMITS}::test_logins_are_counted_by_username_over_all_addresses",),
    ),
    Protection(
        "Uploads are limited",
        "chalicelib/routes/files.py",
        "tell_limit(request, limits.count_upload(stores(), caller))",
        "pass",
        (f"{_LIMITS}::test_eleventh_upload_of_a_minute_is_429",),
    ),
    Protection(
        "Requests without a session are limited",
        "chalicelib/logic/limits.py",
        "stores.settings.rate_limit_anonymous,",
        '"1000000/minute",',
        (f"{_LIMITS}::test_requests_without_a_session_are_limited_per_address",),
    ),
    Protection(
        "Without the cache limits are still counted",
        COUNTERS,
        "return _hit(self._memory, items, who)",
        "return Standing(True, items[0].amount, items[0].amount, 1)",
        (f"{_RATE_COUNTERS}::test_cache_that_is_away_is_asked_once_a_pause",),
    ),
    Protection(
        "Without the cache nothing stands still",
        COUNTERS,
        "        if self._cache is not None and time.monotonic() >= self._cache_paused_until:",
        "        if self._cache is not None:",
        (f"{_RATE_COUNTERS}::test_cache_that_is_away_is_asked_once_a_pause",),
    ),
    Protection(
        "The cache is given up at once",
        COUNTERS,
        '"retry": Retry(NoBackoff(), retries=0),',
        '"retry": Retry(NoBackoff(), retries=3),',
        (f"{_LIMITED}::test_the_cache_is_given_up_at_once",),
    ),
    Protection(
        "A request that waits for storage is answered before the gateway gives up",
        "chalicelib/stores/aws.py",
        "\nREAD_TIMEOUT_SECONDS = 6\n",
        "\nREAD_TIMEOUT_SECONDS = 14\n",
        (f"{_LIMITED}::test_the_api_answers_before_the_gateway_gives_up[('S3', 'SQS')]",),
    ),
    Protection(
        "A request that waits for the tables is answered before the gateway gives up",
        "chalicelib/stores/tables.py",
        "READ_TIMEOUT_SECONDS = 2.5",
        "READ_TIMEOUT_SECONDS = 10",
        (f"{_LIMITED}::test_the_api_answers_before_the_gateway_gives_up[('DynamoDB',)]",),
    ),
    Protection(
        "Processing that waits for a copy ends before its function is ended",
        "chalicelib/stores/aws.py",
        "COPY_READ_TIMEOUT_SECONDS = 300",
        "COPY_READ_TIMEOUT_SECONDS = 450",
        (f"{_LIMITED}::test_processing_fails_before_its_function_is_ended[process]",),
    ),
    Protection(
        "A sweep that waits ends before its function is ended",
        "chalicelib/stores/aws.py",
        "\nREAD_TIMEOUT_SECONDS = 6\n",
        "\nREAD_TIMEOUT_SECONDS = 200\n",
        (f"{_LIMITED}::test_one_sweep_of_an_outage_fits_its_function",),
    ),
    Protection(
        "Calls to S3 have time-outs",
        "chalicelib/stores/aws.py",
        "        read_timeout=read_timeout_seconds,\n",
        "",
        (f"{_LIMITED}::test_every_client_has_time_outs_and_retries_of_its_own",),
    ),
    Protection(
        "Calls to the queue have time-outs",
        "chalicelib/stores/aws.py",
        "        read_timeout=READ_TIMEOUT_SECONDS,\n",
        "",
        (f"{_LIMITED}::test_every_client_has_time_outs_and_retries_of_its_own",),
    ),
    Protection(
        "Calls to the tables have time-outs",
        "chalicelib/stores/tables.py",
        "            read_timeout_seconds=READ_TIMEOUT_SECONDS,\n",
        "",
        (f"{_LIMITED}::test_every_client_has_time_outs_and_retries_of_its_own",),
    ),
)

ANSWERS = (
    Protection(
        "A cursor is good for its organisation only",
        "chalicelib/logic/cursors.py",
        "[organization.organization_id, status or",
        "[status or",
        (f"{_CURSORS}::test_other_organization_is_refused_even_with_the_same_key",),
    ),
    Protection(
        "A cursor is good for its filters only",
        "chalicelib/logic/cursors.py",
        'organization.organization_id, status or "", mime_type or ""]',
        "organization.organization_id]",
        (f"{_CURSORS}::test_other_filters_are_refused",),
    ),
    Protection(
        "A changed cursor is refused",
        "chalicelib/logic/cursors.py",
        " or not hmac.compare_digest(mac, _mac(organization, status, mime_type, raw)):\n"
        "        raise BadInput(_WRONG)\n"
        "    # Base64 has several spellings of the same bytes; only ours is accepted.\n"
        "    last_id = str(uuid.UUID(bytes=raw))\n"
        "    if make_cursor(organization, status, mime_type, last_id) != cursor:\n",
        ":\n        raise BadInput(_WRONG)\n    last_id = str(uuid.UUID(bytes=raw))\n    if mac is None:\n",
        (f"{_LISTING}::test_cursor_with_any_bit_flipped_is_400",),
    ),
    Protection(
        "A cursor has one spelling",
        "chalicelib/logic/cursors.py",
        "if make_cursor(organization, status, mime_type, last_id) != cursor:",
        "if False:",
        (f"{_CURSORS}::test_other_spelling_of_the_same_bytes_is_refused",),
    ),
    Protection(
        "A page has at most 100 files",
        FILES,
        "limit = min(limit, MAX_LIMIT)",
        "pass",
        (f"{_LISTING}::test_limit_is_kept_and_capped",),
    ),
    Protection(
        "A download leaves as an attachment",
        FILES,
        "disposition=attachment(file.filename),",
        'disposition="inline",',
        (f"{_FILES}::test_download_redirects_to_a_short_lived_attachment",),
    ),
    Protection(
        "An object leaves as an attachment by whichever URL",
        PROCESSING,
        "disposition=attachment(file.filename),",
        'disposition="inline",',
        (f"{_PROCESSING}::test_upload_is_hashed_recognised_copied_and_completed",),
    ),
    Protection(
        "A filename can't leave its place in the header (RFC 6266)",
        "chalicelib/logic/disposition.py",
        "c not in '\"\\\\' and ",
        "",
        (f"{_FILENAMES}::test_disposition_is_a_header_that_keeps_the_name",),
    ),
    Protection(
        "A download is the version that was checked",
        FILES,
        "version=file.object_version if stores.settings.download_pins_version else None,",
        "version=None,",
        (f"{_FILES}::test_download_gives_the_bytes_that_were_checked",),
    ),
    Protection(
        "No answer is kept by a cache or taken for another type",
        HTTP,
        '    "Cache-Control": "no-store",\n    "X-Content-Type-Options": "nosniff",\n',
        "",
        (f"{_SESSIONS}::test_me_tells_who_is_signed_in",),
    ),
    Protection(
        "A bug of ours is told without a word about the inside",
        HTTP,
        "return error_answer(request, StrongroomError())\n\n\ndef log_and_shape",
        'return error_answer(request, StrongroomError(f"It failed: {error}."))\n\n\ndef log_and_shape',
        (f"{_ERRORS}::test_bug_of_ours_is_500_without_a_word_about_it",),
    ),
    Protection(
        "A filename holds nothing that is odd in a key or a header",
        KEYS,
        'if c in " .-_" or c.isalnum() or unicodedata.category(c) in ("Mn", "Mc"))',
        "if c)",
        (f"{_FILENAMES}::test_cleaned_name_is_safe_everywhere",),
    ),
    Protection(
        "A filename has no path",
        KEYS,
        '.replace("\\\\", "/").rsplit("/", 1)[-1]',
        "",
        (f"{_FILENAMES}::test_path_in_front_makes_no_difference",),
    ),
    Protection(
        "A filename leaves the key within 1,024 bytes",
        KEYS,
        "while len((stem + tail).encode()) > max_bytes:",
        "while False:",
        (f"{_FILENAMES}::test_key_of_any_name_fits",),
    ),
    Protection(
        "A secret that slips into a log is masked",
        "chalicelib/logs.py",
        'return _URL_PASSWORDS.sub(r"\\1***", _SECRETS.sub(r"\\1***", text))',
        "return text",
        (f"{_MASKING}::test_password_of_a_cache_url_is_masked_whole",),
    ),
    Protection(
        "Nothing that is logged makes a second line",
        "chalicelib/logs.py",
        'line = line.replace("\\n", "\\\\n").replace("\\r", "\\\\r")',
        "pass",
        (f"{_MASKING}::test_readable_line_is_one_line",),
    ),
    Protection(
        "A body that is nested too deep is a mistake of the client",
        HTTP,
        "except (ValueError, RecursionError):",
        "except ValueError:",
        (f"{_ERRORS}::test_body_that_is_nested_too_deep_is_400",),
    ),
    Protection(
        "A form has a bounded number of parts",
        "chalicelib/routes/forms.py",
        "part_limit=MAX_PARTS,",
        "part_limit=len(body) + 1,",
        (f"{_UPLOADS}::test_form_without_exactly_one_named_file_is_400",),
    ),
    Protection(
        "The header of a part is bounded",
        "chalicelib/routes/forms.py",
        "headersize_limit=MAX_HEADER_BYTES,",
        "headersize_limit=len(body) + 1,",
        (f"{_UPLOADS}::test_form_without_exactly_one_named_file_is_400",),
    ),
    Protection(
        "A form carries no more than is allowed",
        UPLOADS,
        "if size_bytes > most:",
        "if False:",
        (f"{_UPLOADS}::test_form_may_carry_so_much_and_no_more",),
    ),
)

MIGRATIONS = (
    Protection(
        "One runner applies migrations at a time",
        "infra/migrations/ledger.py",
        "self._lock_row().save(condition=free)",
        "self._lock_row().save()",
        (f"{_MIGRATIONS}::test_second_runner_at_the_same_time_is_told_to_wait",),
    ),
    Protection(
        "A runner that lost its lock writes nothing",
        "infra/migrations/ledger.py",
        "transaction.save(self._lock_row(), condition=LedgerRow.owner == self._owner)",
        "transaction.save(self._lock_row())",
        (f"{_MIGRATIONS}::test_runner_that_lost_its_lock_can_write_nothing_and_does_not_release_the_next_ones",),
    ),
    Protection(
        "A migration goes on from the saved position",
        "infra/migrations/runner.py",
        "position = started.position if started else None",
        "position = None",
        (f"{_MIGRATIONS}::test_crash_in_the_middle_goes_on_from_the_saved_position",),
    ),
    Protection(
        "A deployment of a newer version is left alone",
        "infra/migrations/runner.py",
        "    if unknown:",
        "    if False:",
        (f"{_MIGRATIONS}::test_deployment_of_a_newer_version_is_left_alone",),
    ),
    Protection(
        "A migration does not overwrite what the application writes meanwhile",
        "infra/migrations/m0002_derive_index_keys.py",
        "condition=FileRow.version == row.version, ",
        "",
        (f"{_MIGRATIONS}::test_row_that_the_application_writes_meanwhile_stays_as_the_application_wrote_it",),
    ),
)

CATALOGUE: dict[str, tuple[Protection, ...]] = {
    "Rows, counters and quotas": ROWS_AND_COUNTERS,
    "Isolation": ISOLATION,
    "Processing": PROCESSING_ONCE,
    "The queue": QUEUE,
    "Deletion and the sweep": DELETION_AND_SWEEP,
    "Uploads straight to S3": DIRECT_UPLOADS,
    "Sessions and limits": SESSIONS_AND_LIMITS,
    "Answers, names and logs": ANSWERS,
    "Migrations": MIGRATIONS,
}
ALL = [protection for area in CATALOGUE.values() for protection in area]
