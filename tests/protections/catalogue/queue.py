"""The queue."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    EVENTS_TESTS,
    ODD_TESTS,
    REDRIVE_TESTS,
    REPETITION_TESTS,
)
from tests.protections.catalogue.protection import Protection

QUEUE = (
    Protection(
        "The last attempt sets the status to failed",
        "_end_tries",
        "give_up(stores, key, worker=message.message_id)",
        "pass",
        (f"{REPETITION_TESTS}::test_a_file_that_failed_three_times_is_a_dead_letter_that_can_be_redriven",),
    ),
    Protection(
        "Only the failed messages of a batch are returned to the queue",
        "process_batch",
        "[{'itemIdentifier': message.message_id} for message in failed]",
        "[{'itemIdentifier': message.message_id} for message in (messages if failed else [])]",
        (f"{EVENTS_TESTS}::test_one_bad_message_of_a_batch_holds_up_no_other",),
    ),
    Protection(
        "A failed message is returned to the queue",
        "process_batch",
        "[{'itemIdentifier': message.message_id} for message in failed]",
        "[{'itemIdentifier': message.message_id} for message in failed[:0]]",
        (f"{REPETITION_TESTS}::test_of_a_batch_only_what_failed_is_shown_again",),
    ),
    Protection(
        "A message that can't be read becomes a dead letter",
        "_process_message",
        ("_show_again(stores, message)\nreturn False"),
        "return True",
        (f"{ODD_TESTS}::test_a_malformed_message_becomes_a_dead_letter_as_it_was",),
    ),
    Protection(
        "The local consumer deletes only what was handled",
        "QueueReader._handle",
        "message['MessageId'] not in kept",
        "True",
        (f"{EVENTS_TESTS}::test_local_consumer_deletes_only_what_was_handled",),
    ),
    Protection(
        "A dead letter is deleted only after it was sent again",
        "_move",
        "sqs.send_message(QueueUrl=target_url, MessageBody=body)",
        (
            "sqs.delete_message(QueueUrl=source_url, ReceiptHandle=handle)\n"
            "sqs.send_message(QueueUrl=target_url, MessageBody=body)"
        ),
        (f"{REDRIVE_TESTS}::test_when_sending_fails_midway_nothing_is_lost_and_the_next_run_moves_the_rest_at_once",),
    ),
)
