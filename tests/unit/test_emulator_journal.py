"""What keeps the emulator's state: the journal, when definitions are saved, and that all is before the answer."""

from __future__ import annotations

import stat
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import pytest

from infra.local.emulator_guard import Guard, Receive, Scope, Send
from infra.local.emulator_journal import Journal
from infra.local.emulator_state import changes_definitions

S3 = ("authorization", "AWS4-HMAC-SHA256 Credential=AKIAX/20260101/us-east-1/s3/aws4_request")
IAM = ("authorization", "AWS4-HMAC-SHA256 Credential=AKIAX/20260101/us-east-1/iam/aws4_request")


def test_what_was_written_is_read_batch_by_batch(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.write(['["row",1]', '["row",2]'])
    journal.write([])
    journal.write(['["row","\\u00e4"]'])
    assert list(journal.read()) == [[["row", 1], ["row", 2]], [["row", "ä"]]]
    journal.close()


def test_line_that_was_cut_off_is_dropped_and_the_next_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    file.write_bytes(b'[["row",1]]\n[["row",2],["ro')
    journal = Journal(file)
    assert list(journal.read()) == [[["row", 1]]]
    journal.write(['["row",3]'])
    assert list(journal.read()) == [[["row", 1]], [["row", 3]]]
    journal.close()


def test_journal_that_begins_anew_is_written_to_from_then_on(tmp_path: Path) -> None:
    file = tmp_path / "journal.jsonl"
    journal = Journal(file)
    journal.write(['["row",1]'])
    journal.replace([['["record",1]']])
    journal.write(['["row",2]'])
    assert list(Journal(file).read()) == [[["record", 1]], [["row", 2]]]
    assert journal.size_bytes == file.stat().st_size
    # Rows hold hashes of passwords.
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("method", "path", "headers", "expected"),
    [
        ("POST", "/", [("x-amz-target", "DynamoDB_20120810.TransactWriteItems"), IAM], False),
        ("POST", "/", [("x-amz-target", "DynamoDB_20120810.UpdateItem"), IAM], False),
        ("POST", "/", [("x-amz-target", "DynamoDB_20120810.DescribeTable"), IAM], False),
        ("POST", "/", [("x-amz-target", "DynamoDB_20120810.UpdateTable"), IAM], True),
        ("POST", "/", [("x-amz-target", "DynamoDB_20120810.UpdateTimeToLive"), IAM], True),
        ("POST", "/", [("x-amz-target", "DynamoDBStreams_20120810.GetRecords"), IAM], False),
        ("POST", "/", [("x-amz-target", "AmazonSQS.DeleteMessageBatch"), IAM], False),
        ("POST", "/", [("x-amz-target", "AmazonSQS.SetQueueAttributes"), IAM], True),
        ("POST", "/", [IAM], True),
        ("PUT", "/bucket/key", [S3], False),
        ("GET", "/bucket", [S3], False),
        ("PUT", "/bucket", [S3], True),
        ("POST", "/bucket", [], False),
        ("GET", "/_ministack/health", [], False),
        ("POST", "/restapis/abc/api/_user_request_/files", [], False),
    ],
)
def test_requests_that_may_change_definitions(
    method: str, path: str, headers: list[tuple[str, str]], expected: bool
) -> None:
    assert changes_definitions(method, path, headers) is expected


def test_what_a_request_changed_is_kept_before_it_is_answered() -> None:
    happened: list[str] = []

    class Keeper:
        def note_request(self, method: str, path: str, headers: tuple[tuple[str, str], ...]) -> None:
            happened.append(f"{method} {path}")

        def keep(self) -> None:
            happened.append("kept")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        happened.append("changed")
        for kind in ("http.response.start", "http.response.body"):
            await send({"type": kind})

    async def send(message: MutableMapping[str, Any]) -> None:
        happened.append(str(message["type"]))

    async def receive() -> MutableMapping[str, Any]:
        raise AssertionError

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/_ministack/health",
        "headers": [(b"host", b"127.0.0.1:4566")],
    }
    answering = Guard(app, "LOCAL", [], Keeper())(scope, receive, send)
    # Nothing in it waits, so it needs no loop.
    with pytest.raises(StopIteration):
        answering.send(None)
    assert happened == [
        "GET /_ministack/health", "changed", "kept", "http.response.start", "http.response.body",
    ]  # fmt: skip
