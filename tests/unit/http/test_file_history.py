"""GET /files/{file_id}/events: what has happened to one file, for those who may read it."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.audit import trail
from chalicelib.kernel.permissions import Scope
from tests.aws_calls import aws_calls
from tests.unit.api import Api, Session
from tests.unit.conftest import SignIn
from tests.unit.contract import check_error, check_success
from tests.unit.keys import make_key
from tests.unit.world import World


@pytest.fixture
def file_id(api: Api, anna: Session, world: World) -> str:
    """A file that was processed, renamed and downloaded, among others of the organisation."""
    api.upload(anna, filename="other.txt")
    file_id = str(api.upload(anna, filename="a.txt").json["id"])
    world.drain()
    check_success(api.request("PATCH", f"/files/{file_id}", session=anna, json_body={"filename": "b.txt"}))
    check_success(api.get(f"/files/{file_id}/content", anna), 302)
    api.upload(anna, filename="later.txt")
    world.publish()
    return file_id


def history(api: Api, session: Session, file_id: str, query: str = "") -> list[dict[str, Any]]:
    answer = api.get(f"/files/{file_id}/events{query}", session)
    check_success(answer)
    events: list[dict[str, Any]] = answer.json["events"]
    assert {event["target"]["id"] for event in events} <= {file_id}
    return events


def test_member_sees_what_the_feed_has_shown_and_not_from_where(api: Api, sign_in: SignIn, file_id: str) -> None:
    events = history(api, sign_in("albert"), file_id)
    assert [event["type"] for event in events] == ["file.renamed", "file.completed", "file.created"]
    assert events[0]["changes"] == {"filename": {"from": "a.txt", "to": "b.txt"}}
    assert events[0]["actor"]["name"] == "anna"
    for event in events:
        assert not {"address", "program"} & event["actor"].keys()


def test_auditor_sees_downloads_and_from_where(api: Api, anna: Session, file_id: str) -> None:
    events = history(api, anna, file_id)
    assert [event["type"] for event in events][:2] == ["file.downloaded", "file.renamed"]
    assert events[0]["actor"]["address"] == "127.0.0.1"


def test_key_that_reads_files_sees_no_downloads(api: Api, anna: Session, file_id: str) -> None:
    key = make_key(api, anna, [Scope.FILES_READ])
    assert "file.downloaded" not in {event["type"] for event in history(api, key, file_id)}


def test_deleted_file_has_none(api: Api, anna: Session, file_id: str) -> None:
    check_success(api.delete(f"/files/{file_id}", anna), 204)
    check_error(api.get(f"/files/{file_id}/events", anna), 404)


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_pages_make_the_whole(api: Api, anna: Session, file_id: str, limit: int) -> None:
    seen, query = [], f"?limit={limit}"
    while True:
        page = api.get(f"/files/{file_id}/events{query}", anna).json
        seen += [event["type"] for event in page["events"]]
        if page["next_cursor"] is None:
            break
        query = f"?limit={limit}&cursor={page['next_cursor']}"
    assert seen == ["file.downloaded", "file.renamed", "file.completed", "file.created"]


def test_one_request_reads_so_much_of_the_feed_and_no_more(
    api: Api, anna: Session, file_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "MAX_EVENTS_READ", 1)
    page = api.get(f"/files/{file_id}/events", anna).json
    assert page["events"] == []
    assert page["next_cursor"] is not None


def test_history_costs_the_file_and_a_query(api: Api, anna: Session, file_id: str) -> None:
    with aws_calls() as made:
        history(api, anna, file_id)
    assert made == ["dynamodb.GetItem"] * 2 + ["dynamodb.Query"]


@pytest.mark.parametrize("query", ["?limit=0", "?limit=x", "?cursor=x", "?cursor=0"])
def test_bad_value_is_400(api: Api, anna: Session, file_id: str, query: str) -> None:
    check_error(api.get(f"/files/{file_id}/events{query}", anna), 400)
