"""The console, as browsers are told to hold it."""

from __future__ import annotations

from tests.protections.catalogue.places import CONSOLE_TESTS
from tests.protections.catalogue.protection import Protection

CONSOLE = (
    Protection(
        "The console runs the scripts of its own files only",
        "content_security_policy",
        "\"script-src 'self'\"",
        "\"script-src 'self' 'unsafe-inline'\"",
        (f"{CONSOLE_TESTS}::test_document_runs_nothing_but_the_consoles_own_files",),
    ),
    Protection(
        "No page shows the console in a frame",
        "content_security_policy",
        "\"frame-ancestors 'none'\"",
        '"frame-ancestors *"',
        (f"{CONSOLE_TESTS}::test_document_runs_nothing_but_the_consoles_own_files",),
    ),
    Protection(
        "The console sends to the API and the bucket of uploads only",
        "content_security_policy",
        "f\"connect-src 'self' {uploads}\"",
        '"connect-src *"',
        (f"{CONSOLE_TESTS}::test_page_may_talk_to_the_api_and_to_the_bucket_of_uploads",),
    ),
    Protection(
        "The console shows pictures of its own and of the organisation's files only",
        "content_security_policy",
        "f\"img-src 'self' blob: data: {downloads}\"",
        '"img-src *"',
        (f"{CONSOLE_TESTS}::test_page_may_show_pictures_from_where_downloads_come",),
    ),
    Protection(
        "What a request says of its path gets into the document as the name of a stage only",
        "base_path",
        "_STAGE.fullmatch(path)",
        "re.fullmatch(r'(.*?)/?', path)",
        (f"{CONSOLE_TESTS}::test_addresses_begin_where_the_api_is",),
    ),
)
