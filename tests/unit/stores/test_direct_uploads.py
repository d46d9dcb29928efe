"""The contract of ``chalicelib.uploads.ports.DirectUploads``, on each side."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from chalicelib import keys
from chalicelib.kernel.errors import BadInput, Conflict, ObjectMissing
from chalicelib.platform.outages import is_outage
from chalicelib.uploads.parts import MAX_PARTS, MIN_PART_BYTES, Part, PresignedPost
from chalicelib.uploads.ports import DirectUploads
from tests.memory.storage import checksum_of
from tests.unit.stores.sides import PAGE, Side

ORGANIZATION = "0d3a2b6e-1111-4222-8333-444455556666"
OTHER_ORGANIZATION = "0d3a2b6e-1111-4222-8333-444455557777"
FILE = "01890000-0000-7000-8000-000000000000"
OTHER_FILE = "01890000-0000-7000-8000-000000000001"
KEY = keys.temp_key(ORGANIZATION, FILE)
BODY = b"0123456789"
PART = bytes(MIN_PART_BYTES)
TTL_SECONDS = 60
SIGNED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def form(side: Side, **changed: Any) -> PresignedPost:
    wanted: dict[str, Any] = {
        "least_bytes": len(BODY),
        "most_bytes": len(BODY),
        "content_type": "text/csv",
        "sha256_hex": None,
        "ttl_seconds": TTL_SECONDS,
        **changed,
    }
    return side.direct_uploads.presign_post(ORGANIZATION, FILE, **wanted)


class TestForm:
    def test_address_is_of_the_origin_that_pages_are_allowed_to_talk_to(self, side: Side) -> None:
        assert form(side).url.startswith(side.direct_uploads.origin)

    def test_bytes_become_the_upload_that_processing_opens(self, side: Side) -> None:
        assert side.storage.send_form(form(side), BODY)
        assert side.storage.temp() == {KEY: BODY}
        with side.objects.open_temp(ORGANIZATION, FILE) as source:
            assert (source.size_bytes, source.verified_sha256) == (len(BODY), None)
        (message,) = side.messages.receive()
        assert FILE in message.body

    @pytest.mark.parametrize(
        ("least", "most", "size", "taken"),
        [(5, 5, 5, True), (5, 5, 4, False), (5, 5, 6, False), (0, 5, 0, True), (0, 5, 5, True), (0, 5, 6, False)],
    )
    def test_size_is_bounded(self, side: Side, least: int, most: int, size: int, taken: bool) -> None:
        assert side.storage.send_form(form(side, least_bytes=least, most_bytes=most), b"x" * size) == taken
        assert bool(side.storage.temp()) == taken

    def test_checksum_that_is_given_is_enforced_and_told_to_processing(self, side: Side) -> None:
        checked = form(side, sha256_hex=hashlib.sha256(BODY).hexdigest())
        assert not side.storage.send_form(checked, BODY[::-1])
        assert side.storage.temp() == {}
        assert side.storage.send_form(checked, BODY)
        with side.objects.open_temp(ORGANIZATION, FILE) as source:
            assert source.verified_sha256 == hashlib.sha256(BODY).hexdigest()

    @pytest.mark.parametrize(
        "changed",
        [
            {"key": keys.temp_key(ORGANIZATION, OTHER_FILE)},
            {"key": keys.temp_key(OTHER_ORGANIZATION, FILE)},
            {"key": f"{KEY}/more"},
            {"Content-Type": "text/html"},
            {"x-amz-checksum-sha256": "other"},
            {"acl": "public-read"},
            {"x-amz-meta-more": "x"},
            {"policy": "e30="},
        ],
        ids=str,
    )
    def test_no_field_can_be_changed_or_added(self, side: Side, changed: dict[str, str]) -> None:
        checked = form(side, sha256_hex=hashlib.sha256(BODY).hexdigest())
        assert not side.storage.send_form(checked, BODY, **changed)
        assert side.storage.temp() == {}

    def test_it_expires(self, side: Side) -> None:
        with time_machine.travel(SIGNED_AT, tick=False):
            signed = form(side)
        for seconds, taken in ((TTL_SECONDS - 1, True), (TTL_SECONDS, False)):
            with time_machine.travel(SIGNED_AT + timedelta(seconds=seconds), tick=False):
                assert side.storage.send_form(signed, BODY) == taken

    def test_it_can_be_used_again_and_the_later_bytes_count(self, side: Side) -> None:
        signed = form(side)
        for body in (BODY, BODY[::-1]):
            assert side.storage.send_form(signed, body)
        assert side.storage.temp() == {KEY: BODY[::-1]}


@pytest.fixture
def upload_id(side: Side) -> str:
    return side.direct_uploads.start_multipart(ORGANIZATION, FILE, "text/csv")


def part_url(
    side: Side, upload_id: str, number: int, exact_bytes: int | None = None, checksum: str | None = None
) -> str:
    return side.direct_uploads.presign_part(
        ORGANIZATION, FILE, upload_id, number, exact_bytes=exact_bytes, ttl_seconds=TTL_SECONDS, crc64nvme=checksum
    )


def send(side: Side, upload_id: str, *bodies: bytes) -> list[Part]:
    for number, body in enumerate(bodies, start=1):
        assert side.storage.send_part(part_url(side, upload_id, number), body)
    return side.direct_uploads.parts(ORGANIZATION, FILE, upload_id)


def complete(side: Side, upload_id: str, parts: list[Part]) -> bool:
    return side.direct_uploads.complete(ORGANIZATION, FILE, upload_id, parts)


class TestParts:
    def test_what_arrives_is_listed_by_number(self, side: Side, upload_id: str) -> None:
        for number, body in ((MAX_PARTS, b"last"), (1, b"a")):
            assert side.storage.send_part(part_url(side, upload_id, number), body)
        assert side.direct_uploads.parts(ORGANIZATION, FILE, upload_id) == [
            Part(1, 1, hashlib.md5(b"a").hexdigest()),
            Part(MAX_PARTS, 4, hashlib.md5(b"last").hexdigest()),
        ]

    def test_all_pages_are_listed(self, side: Side, upload_id: str) -> None:
        listed = send(side, upload_id, *[b"x"] * (2 * PAGE + 1))
        assert [part.number for part in listed] == list(range(1, 2 * PAGE + 2))

    def test_of_no_part_nothing_is_listed(self, side: Side, upload_id: str) -> None:
        assert side.direct_uploads.parts(ORGANIZATION, FILE, upload_id) == []

    def test_part_that_is_sent_again_takes_the_place_of_the_first(self, side: Side, upload_id: str) -> None:
        url = part_url(side, upload_id, 1)
        for body in (b"first", b"the second"):
            assert side.storage.send_part(url, body)
        (part,) = side.direct_uploads.parts(ORGANIZATION, FILE, upload_id)
        assert part == Part(1, 10, hashlib.md5(b"the second").hexdigest())

    @pytest.mark.parametrize(
        ("exact", "size", "taken"), [(5, 5, True), (5, 4, False), (5, 6, False), (None, 4, True), (None, 60, True)]
    )
    def test_url_takes_the_length_that_was_signed(
        self, side: Side, upload_id: str, exact: int | None, size: int, taken: bool
    ) -> None:
        assert side.storage.send_part(part_url(side, upload_id, 1, exact), b"x" * size) == taken
        listed = side.direct_uploads.parts(ORGANIZATION, FILE, upload_id)
        assert [part.size_bytes for part in listed] == ([size] if taken else [])

    def test_part_of_another_checksum_is_refused(self, side: Side, upload_id: str) -> None:
        url = part_url(side, upload_id, 1, checksum=checksum_of(b"x"))
        headers = {"x-amz-checksum-crc64nvme": checksum_of(b"x")}
        assert not side.storage.send_part(url, b"y", headers)
        assert side.storage.send_part(url, b"x", headers)
        assert [part.size_bytes for part in side.direct_uploads.parts(ORGANIZATION, FILE, upload_id)] == [1]

    def test_checksum_has_to_be_sent_and_no_other(self, side: Side, upload_id: str) -> None:
        url = part_url(side, upload_id, 1, checksum=checksum_of(b"x"))
        assert not side.storage.send_part(url, b"x")
        assert not side.storage.send_part(url, b"y", {"x-amz-checksum-crc64nvme": checksum_of(b"y")})
        assert side.direct_uploads.parts(ORGANIZATION, FILE, upload_id) == []

    def test_url_expires(self, side: Side, upload_id: str) -> None:
        with time_machine.travel(SIGNED_AT, tick=False):
            url = part_url(side, upload_id, 1)
        for seconds, taken in ((TTL_SECONDS - 1, True), (TTL_SECONDS, False)):
            with time_machine.travel(SIGNED_AT + timedelta(seconds=seconds), tick=False):
                assert side.storage.send_part(url, b"x") == taken

    def test_url_is_good_for_nothing_else(self, side: Side, upload_id: str) -> None:
        url = part_url(side, upload_id, 1)
        forged = {
            url[:-1],
            f"{url}0",
            url.replace(FILE, OTHER_FILE),
            url.replace("partNumber=1", "partNumber=2"),
            url.replace(f"X-Amz-Expires={TTL_SECONDS}", "X-Amz-Expires=604800"),
        } - {url}
        assert [side.storage.send_part(other, b"x") for other in forged] == [False] * len(forged)

    def test_each_upload_has_parts_of_its_own(self, side: Side, upload_id: str) -> None:
        another = side.direct_uploads.start_multipart(ORGANIZATION, FILE, "text/csv")
        assert another != upload_id
        send(side, upload_id, b"x")
        assert side.direct_uploads.parts(ORGANIZATION, FILE, another) == []


class TestComplete:
    def test_parts_become_the_upload_that_processing_opens(self, side: Side, upload_id: str) -> None:
        parts = send(side, upload_id, PART, b"the end")
        assert not side.direct_uploads.has_arrived(ORGANIZATION, FILE)
        side.messages.receive()
        assert complete(side, upload_id, parts)
        assert side.storage.temp() == {KEY: PART + b"the end"}
        with side.objects.open_temp(ORGANIZATION, FILE) as source:
            assert source.size_bytes == len(PART) + 7
            assert source.verified_sha256 is None, "nobody has verified it as a whole"
            assert source.verified_crc64nvme == checksum_of(PART + b"the end"), "and this one storage has"
            assert source.etag == side.direct_uploads.arrived_fingerprint(ORGANIZATION, FILE)
        # Moto also announces the parts.
        assert {FILE in message.body for message in side.messages.receive()} == {True}

    def test_parts_that_are_not_listed_are_gone(self, side: Side, upload_id: str) -> None:
        first, _, third = send(side, upload_id, PART, PART, b"the end")
        assert complete(side, upload_id, [first, third])
        assert side.storage.temp() == {KEY: PART + b"the end"}

    def test_completed_upload_is_no_upload_any_more(self, side: Side, upload_id: str) -> None:
        parts = send(side, upload_id, b"x")
        url = part_url(side, upload_id, 2)
        complete(side, upload_id, parts)
        with pytest.raises(ObjectMissing):
            side.direct_uploads.parts(ORGANIZATION, FILE, upload_id)
        assert not side.storage.send_part(url, b"y")
        assert side.storage.temp() == {KEY: b"x"}

    def test_completing_again_changes_nothing(self, side: Side, upload_id: str) -> None:
        """Storage may remember for a while that it is done, or know no such upload any more."""
        parts = send(side, upload_id, b"x")
        complete(side, upload_id, parts)
        with suppress(ObjectMissing):
            assert complete(side, upload_id, parts)
        assert side.storage.temp() == {KEY: b"x"}

    @pytest.mark.parametrize(
        ("sent", "listed", "reason"),
        [
            ([b"x"], lambda parts: [Part(1, 1, "0" * 32)], "ETag"),
            ([b"x"], lambda parts: [Part(2, 1, parts[0].etag)], "missing"),
            ([PART, b"x"], lambda parts: parts[::-1], "ascending|at least"),
            ([PART[1:], b"x"], lambda parts: parts, f"at least {MIN_PART_BYTES}"),
        ],
        ids=["another ETag", "not arrived", "wrong order", "too small"],
    )
    def test_parts_that_do_not_fit_are_refused_and_the_upload_goes_on(
        self, side: Side, upload_id: str, sent: list[bytes], listed: Callable[[list[Part]], list[Part]], reason: str
    ) -> None:
        parts = send(side, upload_id, *sent)
        with pytest.raises(BadInput, match=reason):
            complete(side, upload_id, listed(parts))
        assert side.storage.temp() == {}
        assert side.direct_uploads.parts(ORGANIZATION, FILE, upload_id) == parts

    def test_object_that_is_there_is_not_overwritten(self, side: Side, upload_id: str) -> None:
        parts = send(side, upload_id, b"x")
        side.storage.put(KEY, b"assembled by a call whose answer was lost")
        assert complete(side, upload_id, parts)
        assert side.storage.temp() == {KEY: b"assembled by a call whose answer was lost"}

    def test_two_at_once_are_a_conflict(self, side: Side, upload_id: str) -> None:
        parts = send(side, upload_id, b"x")
        with side.wire.another_completes(), pytest.raises(Conflict):
            complete(side, upload_id, parts)
        assert side.storage.temp() == {}
        assert complete(side, upload_id, parts)

    def test_storage_that_takes_its_time_goes_on_by_itself(self, side: Side, upload_id: str) -> None:
        parts = send(side, upload_id, PART, b"the end")
        with side.wire.slow_to_assemble() as finish:
            assert complete(side, upload_id, parts) is False
            assert not side.direct_uploads.has_arrived(ORGANIZATION, FILE)
            finish()
        assert side.storage.temp() == {KEY: PART + b"the end"}


def test_upload_of_one_file_is_none_of_another(side: Side, upload_id: str) -> None:
    parts = send(side, upload_id, b"x")
    for another in ((ORGANIZATION, OTHER_FILE), (OTHER_ORGANIZATION, FILE)):
        with pytest.raises(ObjectMissing):
            side.direct_uploads.parts(*another, upload_id)
        with pytest.raises(ObjectMissing):
            side.direct_uploads.complete(*another, upload_id, parts)
        side.direct_uploads.abort(*another, upload_id)
    assert side.direct_uploads.parts(ORGANIZATION, FILE, upload_id) == parts
    assert side.storage.temp() == {}


class TestAbort:
    def test_parts_are_gone_and_it_can_be_repeated(self, side: Side, upload_id: str) -> None:
        parts = send(side, upload_id, b"x")
        url = part_url(side, upload_id, 1)
        for _ in range(2):
            side.direct_uploads.abort(ORGANIZATION, FILE, upload_id)
        with pytest.raises(ObjectMissing):
            side.direct_uploads.parts(ORGANIZATION, FILE, upload_id)
        with pytest.raises(ObjectMissing):
            complete(side, upload_id, parts)
        assert not side.storage.send_part(url, b"y")

    def test_of_a_completed_upload_leaves_the_object(self, side: Side, upload_id: str) -> None:
        complete(side, upload_id, send(side, upload_id, b"x"))
        side.direct_uploads.abort(ORGANIZATION, FILE, upload_id)
        assert side.storage.temp() == {KEY: b"x"}

    def test_of_one_upload_leaves_the_other(self, side: Side, upload_id: str) -> None:
        another = side.direct_uploads.start_multipart(ORGANIZATION, FILE, "text/csv")
        parts = send(side, another, b"x")
        side.direct_uploads.abort(ORGANIZATION, FILE, upload_id)
        assert side.direct_uploads.parts(ORGANIZATION, FILE, another) == parts


class TestArrival:
    def test_fingerprint_is_the_etag_that_processing_sees(self, side: Side) -> None:
        assert side.direct_uploads.arrived_fingerprint(ORGANIZATION, FILE) is None
        assert not side.direct_uploads.has_arrived(ORGANIZATION, FILE)
        assert side.storage.send_form(form(side), BODY)
        with side.objects.open_temp(ORGANIZATION, FILE) as source:
            assert side.direct_uploads.arrived_fingerprint(ORGANIZATION, FILE) == source.etag
        assert side.direct_uploads.has_arrived(ORGANIZATION, FILE)

    def test_another_object_with_the_same_beginning_is_not_it(self, side: Side) -> None:
        side.storage.put(f"{KEY}-more", BODY)
        assert not side.direct_uploads.has_arrived(ORGANIZATION, FILE)
        side.storage.put(KEY, BODY)
        assert side.direct_uploads.has_arrived(ORGANIZATION, FILE)


CALLS: dict[str, Callable[[DirectUploads, str], object]] = {
    "start_multipart": lambda uploads, _: uploads.start_multipart(ORGANIZATION, FILE, "text/csv"),
    "parts": lambda uploads, upload_id: uploads.parts(ORGANIZATION, FILE, upload_id),
    "complete": lambda uploads, upload_id: uploads.complete(
        ORGANIZATION, FILE, upload_id, [Part(1, 1, hashlib.md5(b"x").hexdigest())]
    ),
    "abort": lambda uploads, upload_id: uploads.abort(ORGANIZATION, FILE, upload_id),
    "has_arrived": lambda uploads, _: uploads.has_arrived(ORGANIZATION, FILE),
    "arrived_fingerprint": lambda uploads, _: uploads.arrived_fingerprint(ORGANIZATION, FILE),
}


class TestOutage:
    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_it_is_told_from_other_errors_and_changes_nothing(
        self, side: Side, upload_id: str, call: Callable[[DirectUploads, str], object]
    ) -> None:
        parts = send(side, upload_id, b"x")
        with side.wire.away(), pytest.raises(Exception, match=r"away\.example") as outage:
            call(side.direct_uploads, upload_id)
        assert is_outage(outage.value)
        assert side.storage.temp() == {}
        assert side.direct_uploads.parts(ORGANIZATION, FILE, upload_id) == parts
        call(side.direct_uploads, upload_id)

    def test_signing_asks_nobody(self, side: Side, upload_id: str) -> None:
        with side.wire.away():
            signed, url = form(side), part_url(side, upload_id, 1)
        assert side.storage.send_form(signed, BODY)
        assert side.storage.send_part(url, b"x")
