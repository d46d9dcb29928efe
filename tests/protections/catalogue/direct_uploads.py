"""Uploads straight to S3."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    COMPANION_TESTS,
    DIRECT_TESTS,
    EVENTS_TESTS,
    TICKETS_TESTS,
)
from tests.protections.catalogue.protection import Protection

DIRECT_UPLOADS = (
    Protection(
        "A presigned form takes exactly the announced size",
        "start_form",
        "most_bytes=file.file_size",
        "most_bytes=5 * 1024**4",
        (f"{DIRECT_TESTS}::test_small_file_gets_a_form_that_allows_exactly_it",),
    ),
    Protection(
        "A presigned form takes exactly its key",
        "DirectUploadStore.presign_post",
        "keys.temp_key(organization_id, file_id)",
        "keys.temp_key(organization_id, file_id) + '${filename}'",
        (f"{DIRECT_TESTS}::test_small_file_gets_a_form_that_allows_exactly_it",),
    ),
    Protection(
        "A presigned form takes exactly the announced checksum",
        "DirectUploadStore.presign_post",
        "[{name: value} for name, value in fields.items()]",
        "[{name: value} for name, value in fields.items() if name != 'x-amz-checksum-sha256']",
        (f"{DIRECT_TESTS}::test_small_file_gets_a_form_that_allows_exactly_it",),
    ),
    Protection(
        "The URL of a part takes exactly its length",
        "DirectUploadStore.presign_part",
        "params['ContentLength'] = exact_bytes",
        "pass",
        (f"{DIRECT_TESTS}::TestParts::test_url_takes_exactly_the_bytes_of_its_part",),
    ),
    Protection(
        "Only the user who started an upload can go on with it",
        "own_upload",
        "file is None or file.uploaded_by_id != caller.user_id or file.multipart_upload_id is None",
        "file is None or file.multipart_upload_id is None",
        (f"{DIRECT_TESTS}::TestParts::test_nobody_else_can_name_the_upload",),
    ),
    Protection(
        "Only with its own upload id",
        "own_upload",
        "upload_id is not None and upload_id != file.multipart_upload_id",
        "False",
        (f"{COMPANION_TESTS}::test_nobody_else_can_use_the_upload",),
    ),
    Protection(
        "An outage ends no file after its first three tries",
        "_end_tries",
        "stores.is_outage(error) and postpone(stores, key, worker=message.message_id)",
        "False",
        (f"{EVENTS_TESTS}::test_outage_is_waited_for",),
    ),
    Protection(
        "Putting together needs exactly the announced bytes",
        "_settle_size",
        "arrived_bytes != file.file_size",
        "False",
        (f"{DIRECT_TESTS}::TestParts::test_missing_bytes_are_409_and_the_upload_goes_on",),
    ),
    Protection(
        "Who announced no size takes the room of what has arrived",
        "_settle_size",
        "reserved_bytes=arrived_bytes",
        "pass",
        (f"{COMPANION_TESTS}::test_multipart_from_start_to_end",),
    ),
    Protection(
        "Putting together overwrites no object",
        "DirectUploadStore._complete",
        "IfNoneMatch='*'",
        "pass",
        (f"{DIRECT_TESTS}::TestParts::test_putting_together_overwrites_no_object",),
    ),
    Protection(
        "A ticket expires",
        "redeem_ticket",
        "ticket is None or ticket.ticket_of is None or ticket.expires_at <= now",
        "ticket is None or ticket.ticket_of is None",
        (f"{TICKETS_TESTS}::test_ticket_expires",),
    ),
    Protection(
        "A ticket dies with its session",
        "redeem_ticket",
        "session is None or session.expires_at <= now",
        "False",
        (f"{TICKETS_TESTS}::test_ticket_dies_with_the_session_that_drew_it",),
    ),
    Protection(
        "A ticket is no session",
        "authenticate",
        "session is None or session.ticket_of is not None or session.expires_at <= time.time()",
        "session is None or session.expires_at <= time.time()",
        (f"{TICKETS_TESTS}::test_ticket_is_no_session",),
    ),
)
