"""GET /files: pages, filters, totals, offsets and cursors."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from chalicelib import keys
from chalicelib.files.record import File, FileStatus
from chalicelib.files.rows import FileRow
from chalicelib.files.store import _to_row
from chalicelib.kernel.caller import Caller
from chalicelib.platform.tables import MAX_SKIPPED_IN_PAGE
from chalicelib.uploads import form_uploads as uploads
from tests.unit.api import Api, Session
from tests.unit.contract import check_error, check_file_record, check_rate_limit_headers, check_success
from tests.unit.world import World

KINDS: list[tuple[FileStatus, str | None]] = [
    ("pending", None),
    ("completed", "image/png"),
    ("completed", "application/pdf"),
    ("failed", None),
    ("completed", "image/svg+xml"),
    ("processing", None),
]


def add(world: World, caller: Caller, count: int) -> list[File]:
    """Files of every kind in turn, oldest first, written by the store but without bytes."""
    made = []
    for number in range(count):
        status, mime_type = KINDS[number % len(KINDS)]
        file = uploads.new_file(caller, f"{number}.txt", None, 1)
        error = "It failed." if status == "failed" else None
        file = replace(file, status=status, mime_type=mime_type, error_message=error)
        if status in ("completed", "failed"):
            file = replace(file, processed_at=file.created_at)
        made.append(world.stores.files.create(file))
    return made


def add_rows(world: World, caller: Caller, count: int) -> list[File]:
    """Completed files, oldest first, as rows alone: many, and quickly. Totals don't count them."""
    model = world.stores.tables.bind(FileRow)
    template = uploads.new_file(caller, "a.txt", None, 1)
    made = [replace(template, file_id=keys.new_file_id(), status="completed") for _ in range(count)]
    with model.batch_write() as batch:
        for file in made:
            batch.save(_to_row(model, file))
    return made


@pytest.fixture
def files(world: World, anna: Session) -> list[File]:
    return world.cloud.remember("25 files", lambda: add(world, anna.caller, 25), ("files", "organizations"))


def ids(listed: dict[str, Any]) -> list[str]:
    return [file["id"] for file in listed["files"]]


def newest_first(files: list[File], status: str | None = None, mime_type: str | None = None) -> list[str]:
    found = [f.file_id for f in files if status in (None, f.status) and mime_type in (None, f.mime_type)]
    return sorted(found, reverse=True)


def walk(api: Api, session: Session, query: str = "") -> list[list[str]]:
    """The pages that following ``next_cursor`` gives."""
    pages, cursor = [], ""
    while True:
        answer = api.get(f"/files?{query}{cursor}", session)
        check_success(answer)
        pages.append(ids(answer.json))
        if answer.json["next_cursor"] is None:
            return pages
        cursor = "&cursor=" + quote(answer.json["next_cursor"])


def test_first_page_is_the_twenty_newest(any_api: Api, anna: Session, files: list[File]) -> None:
    answer = any_api.get("/files", anna)
    check_success(answer)
    check_rate_limit_headers(answer)
    listed = answer.json
    assert set(listed) == {"files", "total", "limit", "offset", "next_cursor"}
    assert ids(listed) == newest_first(files)[:20]
    assert (listed["total"], listed["limit"], listed["offset"]) == (25, 20, 0)
    assert isinstance(listed["next_cursor"], str)
    for record in listed["files"]:
        check_file_record(record)


def test_empty_list(api: Api, anna: Session) -> None:
    assert api.get("/files", anna).json == {"files": [], "total": 0, "limit": 20, "offset": 0, "next_cursor": None}
    assert api.get("/files?status=failed&mime_type=a/b&offset=5", anna).json["total"] == 0


@pytest.mark.parametrize(("query", "limit"), [("limit=1", 1), ("limit=25", 25), ("limit=100", 100), ("limit=101", 100)])
def test_limit_is_kept_and_capped(api: Api, anna: Session, files: list[File], query: str, limit: int) -> None:
    listed = api.get(f"/files?{query}", anna).json
    assert listed["limit"] == limit
    assert ids(listed) == newest_first(files)[:limit]
    assert (listed["next_cursor"] is None) == (limit >= 25), "no cursor that leads to an empty page"


@pytest.mark.parametrize("offset", [0, 1, 19, 20, 24, 25, 26, 10_000])
def test_offset_skips(api: Api, anna: Session, files: list[File], offset: int) -> None:
    listed = api.get(f"/files?limit=5&offset={offset}", anna).json
    assert ids(listed) == newest_first(files)[offset : offset + 5]
    assert (listed["total"], listed["offset"]) == (25, offset)
    assert (listed["next_cursor"] is None) == (offset + 5 >= 25)


def test_cursor_goes_on_where_an_offset_ended(api: Api, anna: Session, files: list[File]) -> None:
    cursor = api.get("/files?limit=5&offset=7", anna).json["next_cursor"]
    assert ids(api.get(f"/files?limit=5&cursor={cursor}", anna).json) == newest_first(files)[12:17]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=1.5", "limit"),
        ("limit=1e3", "limit"),
        ("limit=", "limit"),
        ("limit=%2B5", "limit"),
        ("limit=%D9%A3", "limit"),
        ("limit=5&limit=6", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("offset=-1", "offset"),
        ("offset=x", "offset"),
        ("offset=10001", "cursor"),
        ("offset=999999999999999999", "cursor"),
        ("offset=1&offset=1", "offset"),
        ("status=done", "status"),
        ("status=", "status"),
        ("status=COMPLETED", "status"),
        ("status=completed&status=failed", "status"),
        ("mime_type=png", "mime_type"),
        ("mime_type=", "mime_type"),
        ("mime_type=image/*", "mime_type"),
        ("mime_type=image%2Fpng%00", "mime_type"),
        ("mime_type=" + "a" * 70 + "/b", "mime_type"),
        ("cursor=x", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=%FF", "cursor"),
        ("cursor=" + "A" * 8000, "cursor"),
    ],
)
def test_bad_value_is_400_and_named(any_api: Api, anna: Session, query: str, sentence: str) -> None:
    assert sentence in check_error(any_api.get(f"/files?{query}", anna), 400)


def test_offset_and_cursor_together_are_400(api: Api, anna: Session, files: list[File]) -> None:
    cursor = api.get("/files?limit=5", anna).json["next_cursor"]
    for offset in (0, 5):
        assert "not both" in check_error(api.get(f"/files?offset={offset}&cursor={cursor}", anna), 400)


def test_unknown_parameter_is_passed_over(api: Api, anna: Session) -> None:
    check_success(api.get("/files?page=2&organization_id=other", anna))


FILTERS = [
    (None, None),
    *[(status, None) for status in ("pending", "processing", "completed", "failed")],
    *[(None, mime_type) for mime_type in ("image/png", "application/pdf", "image/svg+xml", "text/plain")],
    ("completed", "image/png"),
    ("completed", "image/svg+xml"),
    ("failed", "image/png"),
]


def as_query(status: str | None, mime_type: str | None) -> str:
    parts = [f"status={status}" if status else "", f"mime_type={quote(mime_type, safe='')}" if mime_type else ""]
    return "&".join(part for part in parts if part)


@pytest.mark.parametrize(("status", "mime_type"), FILTERS)
def test_filter_shows_exactly_what_matches_on_all_pages(
    api: Api, anna: Session, files: list[File], status: str | None, mime_type: str | None
) -> None:
    query = as_query(status, mime_type)
    wanted = newest_first(files, status, mime_type)
    assert api.get(f"/files?{query}", anna).json["total"] == len(wanted)
    pages = walk(api, anna, f"{query}&limit=2")
    assert [file_id for page in pages for file_id in page] == wanted
    assert all(len(page) == 2 for page in pages[:-1])
    offset_page = api.get(f"/files?{query}&limit=2&offset=1", anna).json
    assert (ids(offset_page), offset_page["total"]) == (wanted[1:3], len(wanted))


def test_mime_type_has_no_case(api: Api, anna: Session, files: list[File]) -> None:
    assert api.get("/files?mime_type=Image%2FPNG", anna).json["total"] == len(newest_first(files, None, "image/png"))


def test_total_is_exact_through_a_files_whole_life(api: Api, anna: Session, world: World) -> None:
    def totals() -> dict[str, int]:
        return {
            query: api.get(f"/files?{query}", anna).json["total"]
            for query in ("", "status=pending", "status=completed", "mime_type=text/plain", "status=failed")
        }

    first, second = api.upload(anna).json["id"], api.upload(anna).json["id"]
    assert list(totals().values()) == [2, 2, 0, 0, 0]
    world.s3.delete_object(Bucket=world.stores.settings.temp_bucket, Key=world.temp_key(second))
    world.drain()
    assert list(totals().values()) == [2, 0, 1, 1, 1]
    check_success(api.delete(f"/files/{first}", anna), 204)
    assert list(totals().values()) == [1, 0, 0, 0, 1]
    check_success(api.delete(f"/files/{second}", anna), 204)
    assert list(totals().values()) == [0, 0, 0, 0, 0]


def test_pages_stay_true_while_files_are_added_and_deleted(
    api: Api, anna: Session, world: World, files: list[File]
) -> None:
    """Whoever walks the list sees each file that was there all the time once, and nothing twice."""
    old = newest_first(files)
    seen: list[str] = []
    cursor = ""
    deleted: set[str] = set()
    for _ in range(20):
        listed = api.get(f"/files?limit=4{cursor}", anna).json
        seen += ids(listed)
        if listed["next_cursor"] is None:
            break
        cursor = "&cursor=" + listed["next_cursor"]
        add(world, anna.caller, 2)
        # The one that the cursor stands on, and one that is still to come.
        remaining = [file_id for file_id in old if file_id not in seen]
        for file_id in (seen[-1], *remaining[-1:]):
            deleted.add(file_id)
            api.delete(f"/files/{file_id}", anna)
    assert len(seen) == len(set(seen))
    assert set(seen) >= set(old) - deleted
    assert set(seen) <= set(old)


def test_cursor_is_opaque(api: Api, anna: Session, files: list[File]) -> None:
    cursor = api.get("/files?limit=5", anna).json["next_cursor"]
    assert len(cursor) < 60
    assert newest_first(files)[4] not in cursor
    assert quote(cursor, safe="") == cursor, "it goes into a URL as it is"


def test_cursor_is_good_for_its_organization_and_filters_only(
    api: Api, anna: Session, berta: Session, files: list[File], world: World
) -> None:
    add(world, berta.caller, 10)
    cursors = {
        query: api.get(f"/files?limit=1&{query}", anna).json["next_cursor"]
        for query in ("", "status=completed", "mime_type=image%2Fpng", "status=completed&mime_type=image%2Fpng")
    }
    assert all(cursors.values())
    for made_for, cursor in cursors.items():
        for used_with in (*cursors, "status=pending"):
            answer = api.get(f"/files?{used_with}&cursor={cursor}", anna)
            if used_with == made_for:
                check_success(answer)
            else:
                assert "cursor" in check_error(answer, 400)
        check_error(api.get(f"/files?{made_for}&cursor={cursor}", berta), 400)
    check_success(api.get(f"/files?limit=50&cursor={cursors['']}", anna))


def test_cursor_with_any_bit_flipped_is_400(api: Api, anna: Session, files: list[File]) -> None:
    cursor = api.get("/files?limit=5", anna).json["next_cursor"]
    raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    for byte in range(len(raw)):
        # All bits of every byte are tried in test_cursors; here the route is, with one of each.
        changed = bytearray(raw)
        changed[byte] ^= 1 << byte % 8
        tampered = base64.urlsafe_b64encode(bytes(changed)).decode().rstrip("=")
        check_error(api.get(f"/files?cursor={tampered}", anna), 400)
    for tampered in (cursor[:-1], cursor + "A", cursor + "=", f" {cursor}", cursor[::-1], cursor.swapcase()):
        check_error(api.get(f"/files?cursor={quote(tampered)}", anna), 400)


def test_ids_of_one_moment_keep_their_order() -> None:
    made = [keys.new_file_id() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


MANY = MAX_SKIPPED_IN_PAGE + 25


@pytest.mark.parametrize("filters", ["", "&status=completed"])
def test_far_offsets_skip_as_many_as_near_ones(api: Api, anna: Session, world: World, filters: str) -> None:
    """Beyond a hundred what is skipped is counted by a query of its own."""
    newest = newest_first(world.cloud.remember("many rows", lambda: add_rows(world, anna.caller, MANY), ("files",)))
    for offset in (0, 99, 100, 101, 110, MANY - 1, MANY, MANY + 1, 10_000):
        answer = api.get(f"/files?limit=10&offset={offset}{filters}", anna)
        check_success(answer)
        assert ids(answer.json) == newest[offset : offset + 10], offset
        assert (answer.json["next_cursor"] is not None) == (offset + 10 < MANY), offset
