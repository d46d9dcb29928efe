"""GET /files?name=…: files by what is in their names, in reads of a bounded size."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import pytest

from chalicelib.files import searching
from chalicelib.files.record import FileStatus
from chalicelib.uploads import form_uploads as uploads
from tests.aws_calls import aws_calls, listening
from tests.unit.api import Api, Session
from tests.unit.contract import check_error, check_file_record, check_success
from tests.unit.world import World

NAMES = ["Invoice March.pdf", "letter.txt", "invoice-2026-04.PDF", "Rechnung Müller.pdf", "STRASSE.txt", "march.png"]


def add(world: World, session: Session, name: str, status: FileStatus = "completed", kind: str | None = "a/b") -> str:
    file = uploads.new_file(session.caller, name, None, 1)
    error = "It failed." if status == "failed" else None
    file = replace(file, status=status, mime_type=kind, processed_at=file.created_at, error_message=error)
    return world.stores.files.create(file).file_id


@pytest.fixture
def ids(world: World, anna: Session) -> dict[str, str]:
    return {name: add(world, anna, name) for name in NAMES}


def found(api: Api, session: Session, name: str, more: str = "") -> list[str]:
    answer = api.get(f"/files?name={quote(name)}{more}", session)
    check_success(answer)
    assert answer.json["total"] is None
    assert answer.json["next_cursor"] is None
    for record in answer.json["files"]:
        check_file_record(record)
    return [file["filename"] for file in answer.json["files"]]


def walk(api: Api, session: Session, query: str) -> list[list[str]]:
    """Names of each page that following ``next_cursor`` gives."""
    pages, cursor = [], ""
    while True:
        answer = api.get(f"/files?{query}{cursor}", session)
        check_success(answer)
        pages.append([file["filename"] for file in answer.json["files"]])
        if answer.json["next_cursor"] is None:
            return pages
        cursor = "&cursor=" + quote(answer.json["next_cursor"])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("invoice", ["invoice-2026-04.PDF", "Invoice March.pdf"]),
        ("INVO", ["invoice-2026-04.PDF", "Invoice March.pdf"]),
        ("oice", ["invoice-2026-04.PDF", "Invoice March.pdf"]),
        ("march invoice", ["Invoice March.pdf"]),
        (".pdf", ["Rechnung Müller.pdf", "invoice-2026-04.PDF", "Invoice March.pdf"]),
        ("muller", ["Rechnung Müller.pdf"]),
        ("MU\u0308LLER", ["Rechnung Müller.pdf"]),
        ("straße", ["STRASSE.txt"]),
        ("nothing like it", []),
        ("\u0308", []),
        ("*", []),
    ],
)
def test_words_are_found_whatever_their_case_and_accents(
    api: Api, anna: Session, ids: dict[str, str], name: str, expected: list[str]
) -> None:
    assert found(api, anna, name) == expected


def test_other_organisations_files_are_not_found(
    api: Api, anna: Session, berta: Session, world: World, ids: dict[str, str]
) -> None:
    add(world, berta, "invoice of Bolt.txt")
    assert found(api, berta, "invoice") == ["invoice of Bolt.txt"]
    assert "invoice of Bolt.txt" not in found(api, anna, "invoice")


def test_filters_hold_too(api: Api, anna: Session, world: World, ids: dict[str, str]) -> None:
    add(world, anna, "invoice that failed.txt", "failed", None)
    add(world, anna, "invoice of text.txt", "completed", "text/plain")
    assert found(api, anna, "invoice", "&status=failed") == ["invoice that failed.txt"]
    assert found(api, anna, "invoice", "&mime_type=text/plain") == ["invoice of text.txt"]
    assert found(api, anna, "invoice", "&status=completed&mime_type=text/plain") == ["invoice of text.txt"]
    assert found(api, anna, "invoice", "&status=failed&mime_type=text/plain") == []
    assert len(found(api, anna, "invoice", "&status=completed")) == 3


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("read_at_once", [1, 4, 7, 100])
def test_pages_make_the_whole(
    api: Api, anna: Session, world: World, monkeypatch: pytest.MonkeyPatch, limit: int, read_at_once: int
) -> None:
    monkeypatch.setattr(searching, "MAX_NAMES_READ", read_at_once)
    for number in range(12):
        add(world, anna, f"{'match' if number % 3 else 'other'} {number}.txt")
    pages = walk(api, anna, f"name=match&limit={limit}")
    expected = [f"match {number}.txt" for number in range(11, -1, -1) if number % 3]
    assert [name for page in pages for name in page] == expected
    assert max(map(len, pages)) <= limit


def test_one_request_reads_so_many_names_and_no_more(
    api: Api, anna: Session, world: World, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MAX_NAMES_READ", 2)
    page = api.get("/files?name=Invoice%20March", anna).json
    assert page["files"] == []
    assert page["next_cursor"] is not None


@pytest.mark.parametrize("files", [1, 30])
def test_search_costs_two_reads_however_many_files_there_are(api: Api, anna: Session, world: World, files: int) -> None:
    for number in range(files):
        add(world, anna, f"{number}.txt")
    with aws_calls() as made:
        check_success(api.get("/files?name=txt&limit=5", anna))
    assert made == ["dynamodb.GetItem", "dynamodb.Query", "dynamodb.BatchGetItem"]
    with aws_calls() as made:
        check_success(api.get("/files?name=nothing", anna))
    assert made == ["dynamodb.GetItem", "dynamodb.Query"]


def test_cursor_is_good_for_its_search_only(api: Api, anna: Session, ids: dict[str, str]) -> None:
    cursor = quote(api.get("/files?name=invoice&limit=1", anna).json["next_cursor"])
    check_error(api.get(f"/files?name=letter&cursor={cursor}", anna), 400)
    check_error(api.get(f"/files?cursor={cursor}", anna), 400)
    check_error(api.get(f"/files?name=invoice&status=failed&cursor={cursor}", anna), 400)
    plain = quote(api.get("/files?limit=1", anna).json["next_cursor"])
    check_error(api.get(f"/files?name=invoice&cursor={plain}", anna), 400)
    # Another spelling is the same search.
    again = api.get(f"/files?name=%20INVOICE&cursor={cursor}", anna).json["files"]
    assert [file["filename"] for file in again] == ["Invoice March.pdf"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("name=", "name is empty"),
        ("name=%20%09", "name is empty"),
        (f"name={'x' * 256}", "256 characters"),
        ("name=a&name=b", "2 times"),
        ("name=a&offset=1", "offset does not go together with name"),
    ],
)
def test_bad_search_is_400_and_says_why(api: Api, anna: Session, query: str, sentence: str) -> None:
    assert sentence in check_error(api.get(f"/files?{query}", anna), 400)


@pytest.mark.parametrize("change", ["deleted", "renamed"])
def test_file_that_changes_meanwhile_is_not_shown_as_it_was(
    api: Api, anna: Session, ids: dict[str, str], change: str
) -> None:
    """Between the reading of names and of what was found."""
    changes: list[str] = []

    def act(operation: str, _: object) -> None:
        if operation != "dynamodb.BatchGetItem" or changes:
            return
        changes.append(change)
        path = f"/files/{ids['Invoice March.pdf']}"
        if change == "deleted":
            check_success(api.delete(path, anna), 204)
        else:
            check_success(api.request("PATCH", path, session=anna, json_body={"filename": "paid.pdf"}))

    with listening(act):
        assert found(api, anna, "invoice") == ["invoice-2026-04.PDF"]
    assert changes == [change]
