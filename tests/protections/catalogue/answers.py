"""Answers, names and logs."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    CURSORS_TESTS,
    ERRORS_TESTS,
    FILENAMES_TESTS,
    FILES,
    FILES_TESTS,
    HTTP,
    KEYS,
    LISTING_TESTS,
    MASKING_TESTS,
    PROCESSING,
    PROCESSING_TESTS,
    SESSIONS_TESTS,
    UPLOADS,
    UPLOADS_TESTS,
)
from tests.protections.catalogue.protection import Protection

ANSWERS = (
    Protection(
        "A cursor is good for its organisation only",
        "chalicelib/files/cursors.py",
        "[organization.organization_id, status or",
        "[status or",
        (f"{CURSORS_TESTS}::test_other_organization_is_refused_even_with_the_same_key",),
    ),
    Protection(
        "A cursor is good for its filters only",
        "chalicelib/files/cursors.py",
        'organization.organization_id, status or "", mime_type or ""]',
        "organization.organization_id]",
        (f"{CURSORS_TESTS}::test_other_filters_are_refused",),
    ),
    Protection(
        "A changed cursor is refused",
        "chalicelib/files/cursors.py",
        " or not hmac.compare_digest(mac, _mac(organization, status, mime_type, raw)):\n"
        "        raise BadInput(_WRONG)\n"
        "    # Base64 has several spellings of the same bytes; only ours is accepted.\n"
        "    last_id = str(uuid.UUID(bytes=raw))\n"
        "    if make_cursor(organization, status, mime_type, last_id) != cursor:\n",
        ":\n        raise BadInput(_WRONG)\n    last_id = str(uuid.UUID(bytes=raw))\n    if mac is None:\n",
        (f"{LISTING_TESTS}::test_cursor_with_any_bit_flipped_is_400",),
    ),
    Protection(
        "A cursor has one spelling",
        "chalicelib/files/cursors.py",
        "if make_cursor(organization, status, mime_type, last_id) != cursor:",
        "if False:",
        (f"{CURSORS_TESTS}::test_other_spelling_of_the_same_bytes_is_refused",),
    ),
    Protection(
        "A page has at most 100 files",
        FILES,
        "limit = min(limit, MAX_LIMIT)",
        "pass",
        (f"{LISTING_TESTS}::test_limit_is_kept_and_capped",),
    ),
    Protection(
        "A download leaves as an attachment",
        FILES,
        "disposition=attachment(file.filename),",
        'disposition="inline",',
        (f"{FILES_TESTS}::test_download_redirects_to_a_short_lived_attachment",),
    ),
    Protection(
        "An object leaves as an attachment by whichever URL",
        PROCESSING,
        "disposition=attachment(file.filename),",
        'disposition="inline",',
        (f"{PROCESSING_TESTS}::test_upload_is_hashed_recognised_copied_and_completed",),
    ),
    Protection(
        "A filename can't leave its place in the header (RFC 6266)",
        "chalicelib/files/disposition.py",
        "c not in '\"\\\\' and ",
        "",
        (f"{FILENAMES_TESTS}::test_disposition_is_a_header_that_keeps_the_name",),
    ),
    Protection(
        "A download is the version that was checked",
        FILES,
        "version=file.object_version if stores.settings.download_pins_version else None,",
        "version=None,",
        (f"{FILES_TESTS}::test_download_gives_the_bytes_that_were_checked",),
    ),
    Protection(
        "No answer is kept by a cache or taken for another type",
        HTTP,
        '    "Cache-Control": "no-store",\n    "X-Content-Type-Options": "nosniff",\n',
        "",
        (f"{SESSIONS_TESTS}::test_me_tells_who_is_signed_in",),
    ),
    Protection(
        "A bug of ours is told without a word about the inside",
        HTTP,
        "return error_answer(request, StrongroomError())\n\n\ndef log_and_shape",
        'return error_answer(request, StrongroomError(f"It failed: {error}."))\n\n\ndef log_and_shape',
        (f"{ERRORS_TESTS}::test_bug_of_ours_is_500_without_a_word_about_it",),
    ),
    Protection(
        "A filename holds nothing that is odd in a key or a header",
        KEYS,
        'if c in " .-_" or c.isalnum() or unicodedata.category(c) in ("Mn", "Mc"))',
        "if c)",
        (f"{FILENAMES_TESTS}::test_cleaned_name_is_safe_everywhere",),
    ),
    Protection(
        "A filename has no path",
        KEYS,
        '.replace("\\\\", "/").rsplit("/", 1)[-1]',
        "",
        (f"{FILENAMES_TESTS}::test_path_in_front_makes_no_difference",),
    ),
    Protection(
        "A filename leaves the key within 1,024 bytes",
        KEYS,
        "while len((stem + tail).encode()) > max_bytes:",
        "while False:",
        (f"{FILENAMES_TESTS}::test_key_of_any_name_fits",),
    ),
    Protection(
        "A secret that slips into a log is masked",
        "chalicelib/kernel/logs.py",
        'return _URL_PASSWORDS.sub(r"\\1***", _SECRETS.sub(r"\\1***", text))',
        "return text",
        (f"{MASKING_TESTS}::test_password_of_a_cache_url_is_masked_whole",),
    ),
    Protection(
        "Nothing that is logged makes a second line",
        "chalicelib/kernel/logs.py",
        'line = line.replace("\\n", "\\\\n").replace("\\r", "\\\\r")',
        "pass",
        (f"{MASKING_TESTS}::test_readable_line_is_one_line",),
    ),
    Protection(
        "A body that is nested too deep is a mistake of the client",
        HTTP,
        "except (ValueError, RecursionError):",
        "except ValueError:",
        (f"{ERRORS_TESTS}::test_body_that_is_nested_too_deep_is_400",),
    ),
    Protection(
        "A form has a bounded number of parts",
        "chalicelib/web/forms.py",
        "part_limit=MAX_PARTS,",
        "part_limit=len(body) + 1,",
        (f"{UPLOADS_TESTS}::test_form_without_exactly_one_named_file_is_400",),
    ),
    Protection(
        "The header of a part is bounded",
        "chalicelib/web/forms.py",
        "headersize_limit=MAX_HEADER_BYTES,",
        "headersize_limit=len(body) + 1,",
        (f"{UPLOADS_TESTS}::test_form_without_exactly_one_named_file_is_400",),
    ),
    Protection(
        "A form carries no more than is allowed",
        UPLOADS,
        "if size_bytes > most:",
        "if False:",
        (f"{UPLOADS_TESTS}::test_form_may_carry_so_much_and_no_more",),
    ),
)
