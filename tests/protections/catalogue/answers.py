"""Answers, names and logs."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    ERRORS_TESTS,
    FILES_TESTS,
    MASKING_TESTS,
    OBJECTS_CONTRACT,
    UPLOADS_TESTS,
)
from tests.protections.catalogue.protection import Protection

ANSWERS = (
    Protection(
        "A download is sent as an attachment",
        "download_url",
        "disposition=attachment(file.filename)",
        "disposition='inline'",
        (f"{FILES_TESTS}::test_download_redirects_to_a_short_lived_attachment",),
    ),
    Protection(
        "A download is the version that was checked",
        "download_url",
        "version=file.object_version if stores.settings.download_pins_version else None",
        "version=None",
        (f"{FILES_TESTS}::test_download_gives_the_bytes_that_were_checked",),
    ),
    Protection(
        "A download URL expires",
        "ObjectStore.download_url",
        "ExpiresIn=ttl_seconds",
        "pass",
        (f"{OBJECTS_CONTRACT}::TestDownload::test_url_expires",),
    ),
    Protection(
        "An internal error shows no internals",
        "_told",
        "StrongroomError()",
        "StrongroomError(f'It failed: {error}.')",
        (f"{ERRORS_TESTS}::test_bug_of_ours_is_500_without_a_word_about_it",),
    ),
    Protection(
        "The form parser's message is not shown to the client",
        "_parts",
        "BadInput(_sentence(error))",
        "BadInput(f'The form can\\'t be read: {error}.')",
        (f"{UPLOADS_TESTS}::test_name_that_is_not_utf8_is_refused_in_our_words",),
    ),
    Protection(
        "A secret that slips into a log is masked",
        "mask",
        "_URL_PASSWORDS.sub('\\\\1***', _OTPAUTH.sub('\\\\1***', masked))",
        "text",
        (f"{MASKING_TESTS}::test_password_of_a_cache_url_is_masked_whole",),
    ),
    Protection(
        "Nothing that is logged makes a second line",
        "TextFormatter.format",
        "line = line.replace('\\n', '\\\\n').replace('\\r', '\\\\r')",
        "pass",
        (f"{MASKING_TESTS}::test_readable_line_is_one_line",),
    ),
)
