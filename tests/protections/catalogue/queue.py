"""The queue."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    EVENTS,
    EVENTS_TESTS,
    OBJECT_STORE,
    ODD_TESTS,
    PROCESSING,
    REDRIVE_TESTS,
    REPETITION_TESTS,
)
from tests.protections.catalogue.protection import Protection

QUEUE = (
    Protection(
        "Bytes that are gone are told at once",
        PROCESSING,
        "        raise PermanentFault(BYTES_GONE) from None",
        "        raise",
        (
            f"{ODD_TESTS}::test_an_announcement_of_an_object_that_is_gone_fails_with_a_reason",
            f"{REPETITION_TESTS}::test_an_object_deleted_between_hashing_and_copying_fails_with_a_reason",
        ),
    ),
    Protection(
        "A permanent fault is not tried again",
        PROCESSING,
        "        _require_lease(taken)\n        return _fail(stores, taken, fault.reason,"
        " discard_bytes=fault.discard_bytes)",
        "        raise RuntimeError(fault.reason) from fault",
        (f"{EVENTS_TESTS}::test_permanent_fault_is_not_tried_again",),
    ),
    Protection(
        "The last attempt writes failed into the row",
        EVENTS,
        "        give_up(stores, key, worker=message.message_id)",
        "        pass",
        (f"{REPETITION_TESTS}::test_a_file_that_failed_three_times_is_a_dead_letter_that_can_be_redriven",),
    ),
    Protection(
        "The wait before the next attempt grows",
        EVENTS,
        "0 if _is_last(message) else BACKOFF_BASE_SECONDS**message.receives",
        "0",
        (f"{REPETITION_TESTS}::test_a_failed_attempt_is_shown_again_after_two_to_the_power_of_its_number_of_seconds",),
    ),
    Protection(
        "Of a batch only what failed is kept",
        EVENTS,
        "for message in failed]}",
        "for message in (messages if failed else [])]}",
        (f"{EVENTS_TESTS}::test_one_bad_message_of_a_batch_holds_up_no_other",),
    ),
    Protection(
        "What failed is kept",
        EVENTS,
        "for message in failed]}",
        "for message in failed[:0]]}",
        (f"{REPETITION_TESTS}::test_of_a_batch_only_what_failed_is_shown_again",),
    ),
    Protection(
        "A message that can't be read takes no other along",
        EVENTS,
        "    except (KeyError, TypeError, AttributeError) as error:",
        "    except ZeroDivisionError as error:",
        (f"{ODD_TESTS}::test_a_malformed_message_does_not_take_the_rest_of_its_batch_along",),
    ),
    Protection(
        "A message that can't be read becomes a dead letter",
        EVENTS,
        "        _show_again(stores, message)\n        return False\n    done =",
        "        return True\n    done =",
        (f"{ODD_TESTS}::test_a_malformed_message_becomes_a_dead_letter_as_it_was",),
    ),
    Protection(
        "A message that is nested too deep is one that can't be read",
        EVENTS,
        "    except RecursionError:",
        "    except ZeroDivisionError:",
        (f"{EVENTS_TESTS}::test_malformed_message_goes_to_the_dead_letters_soon[very deep]",),
    ),
    Protection(
        "S3's test event is passed over",
        EVENTS,
        'if notification.get("Event") == "s3:TestEvent":',
        "if False:",
        (f"{ODD_TESTS}::test_the_test_event_of_s3_is_taken_note_of_and_dropped",),
    ),
    Protection(
        "A plus in a key of an event is a space",
        EVENTS,
        'unquote_plus(record["s3"]["object"]["key"])',
        'unquote_plus(record["s3"]["object"]["key"].replace("+", "%2B"))',
        (
            f"{EVENTS_TESTS}::test_key_is_read_as_storage_writes_it",
            f"{ODD_TESTS}::test_an_object_under_a_foreign_key_is_removed_whatever_is_in_the_key",
        ),
    ),
    Protection(
        "Events of other buckets are passed over",
        EVENTS,
        '            and stores.objects.is_temp_bucket(record["s3"]["bucket"]["name"])\n',
        "",
        (f"{ODD_TESTS}::test_an_announcement_of_another_bucket_touches_nothing",),
    ),
    Protection(
        "Other events than the arrival of an object are passed over",
        EVENTS,
        'if str(record["eventName"]).startswith("ObjectCreated:")\n            and ',
        'if str(record["eventName"]) != "" and ',
        (f"{ODD_TESTS}::test_other_events_of_s3_are_dropped",),
    ),
    Protection(
        "A delivery that the local consumer never got comes again soon",
        "infra/local/consumer.py",
        "            VisibilityTimeout=DELIVERY_SECONDS,\n",
        "",
        (f"{EVENTS_TESTS}::test_delivery_that_the_local_consumer_never_got_comes_again_soon",),
    ),
    Protection(
        "A message in work is hidden for as long as the queue says",
        "infra/local/consumer.py",
        "VisibilityTimeout=self._visibility_seconds,",
        "VisibilityTimeout=DELIVERY_SECONDS,",
        (f"{EVENTS_TESTS}::test_message_in_work_is_hidden_for_as_long_as_the_queue_says",),
    ),
    Protection(
        "A connection that breaks while an upload is read is taken up where it broke",
        "chalicelib/platform/streams.py",
        "if position == opened_at:",
        "if True:",
        ("tests/faults/test_broken_connections.py::test_breaks_in_the_middle_cost_no_attempt",),
    ),
    Protection(
        "A connection that breaks after the last byte is not taken up",
        "chalicelib/platform/streams.py",
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
        (f"{EVENTS_TESTS}::test_local_consumer_deletes_only_what_was_handled",),
    ),
    Protection(
        "A dead letter is deleted only after it was sent again",
        "infra/redrive.py",
        "                sqs.send_message(QueueUrl=settings.uploads_queue_url, MessageBody=body)\n"
        "                sqs.delete_message(QueueUrl=settings.dead_letter_queue_url, ReceiptHandle=handle)\n",
        "                sqs.delete_message(QueueUrl=settings.dead_letter_queue_url, ReceiptHandle=handle)\n"
        "                sqs.send_message(QueueUrl=settings.uploads_queue_url, MessageBody=body)\n",
        (f"{REDRIVE_TESTS}::test_when_sending_fails_midway_nothing_is_lost_and_the_next_run_moves_the_rest_at_once",),
    ),
)
