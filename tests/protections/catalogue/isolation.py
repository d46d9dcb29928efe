"""Isolation."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    FILE_HISTORY_TESTS,
    NAME_SEARCH_TESTS,
    REPETITION_TESTS,
    TENANCY_TESTS,
    UPLOADS_TESTS,
)
from tests.protections.catalogue.protection import Protection

ISOLATION = (
    Protection(
        "What changed between the two reads of a search is not shown as it was",
        "search_page",
        "matches(file.filename, words)",
        "True",
        (f"{NAME_SEARCH_TESTS}::test_file_that_changes_meanwhile_is_not_shown_as_it_was",),
    ),
    Protection(
        "The cursor of a search is good for that search only",
        "_hash",
        "filters if name is None else [*filters, name]",
        "filters",
        (f"{NAME_SEARCH_TESTS}::test_cursor_is_good_for_its_search_only",),
    ),
    Protection(
        "One request of a search reads so many names and no more",
        "search_page",
        "stores.files.names(organization_id, status, mime_type, before_id, MAX_NAMES_READ)",
        "stores.files.names(organization_id, status, mime_type, before_id, 10**6)",
        (f"{NAME_SEARCH_TESTS}::test_one_request_reads_so_many_names_and_no_more",),
    ),
    Protection(
        "Members see in a file's history what the feed has shown, no downloads and not from where",
        "file_history",
        "caller.may(Scope.AUDIT_READ)",
        "True",
        (
            f"{FILE_HISTORY_TESTS}::test_member_sees_what_the_feed_has_shown_and_not_from_where",
            f"{FILE_HISTORY_TESTS}::test_key_that_reads_files_sees_no_downloads",
        ),
    ),
    Protection(
        "A file is found by its organisation only",
        "FileStore.find",
        "self._tables.find_item(self._files, organization_id, file_id)",
        "next((row.serialize() for row in self._files.scan(FileRow.file_id == file_id)), None)",
        (f"{TENANCY_TESTS}::test_file_of_another_organization_is_404_and_stays_as_it_is",),
    ),
    Protection(
        "A list has the files of its organisation only",
        "FileStore.page",
        "[_read_file(item) for item in self._tables.query_items(self._files, query, limit, skip)]",
        "[_to_file(row) for row in self._files.scan(limit=limit)]",
        (f"{TENANCY_TESTS}::test_list_shows_the_own_organization_only",),
    ),
    Protection(
        "A list of one status has the files of its organisation only",
        "status_partition",
        "f'{organization_id}#{status}'",
        "f'#{status}'",
        (f"{TENANCY_TESTS}::test_list_shows_the_own_organization_only",),
    ),
    Protection(
        "Two files never share an object",
        "permanent_prefix",
        "f'{organization_id}/{file_id}_'",
        "f'{organization_id}/_'",
        (
            f"{UPLOADS_TESTS}::test_two_files_of_one_name_are_two_files",
            f"{REPETITION_TESTS}::test_announcements_in_any_order_each_bring_their_own_file_to_its_end",
        ),
    ),
    Protection(
        "Another organisation's file is a 404 before the request is validated",
        "rename_file",
        "files.get_file(stores(), caller, file_id)",
        "pass",
        (f"{TENANCY_TESTS}::test_file_of_another_organization_is_404_and_stays_as_it_is",),
    ),
)
