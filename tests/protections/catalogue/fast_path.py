"""The fast path is as safe as botocore, and leaves to it what is not plain."""

from __future__ import annotations

from tests.protections.catalogue.places import FAST_ANSWERS_TESTS, FAST_REQUESTS_TESTS, FAST_SIGNING_TESTS
from tests.protections.catalogue.protection import Protection

FAST_PATH = (
    Protection(
        "A server's certificate is checked on the fast path",
        "_tls_context",
        "context.minimum_version = ssl.TLSVersion.TLSv1_2",
        "context.check_hostname = False; context.verify_mode = ssl.CERT_NONE",
        (f"{FAST_ANSWERS_TESTS}::test_tls_to_anybody_else_fails_before_anything_is_sent",),
    ),
    Protection(
        "A row that was damaged on its way is read again",
        "_parsed_dynamodb",
        "checksum is not None and checksum != str(zlib.crc32(body))",
        "False",
        (f"{FAST_ANSWERS_TESTS}::test_dynamodb",),
    ),
    Protection(
        "A copy that S3 reports as failed in a success is no copy",
        "FastPath._parsed",
        "told['status_code'] != response.status_code",
        "False",
        (f"{FAST_ANSWERS_TESTS}::test_s3",),
    ),
    Protection(
        "The key of a day signs for one set of credentials",
        "Signer._key",
        "(known_secret, known_day) != (secret_key, day)",
        "known_day != day",
        (
            f"{FAST_SIGNING_TESTS}::test_key_of_a_day_is_not_used_on_the_next_nor_with_other_credentials",
            f"{FAST_REQUESTS_TESTS}::test_credentials_are_asked_for_at_each_call",
        ),
    ),
)
