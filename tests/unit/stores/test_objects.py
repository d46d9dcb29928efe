"""The contract of ``chalicelib.processing.ports.Objects``, on each side."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from chalicelib import keys
from chalicelib.kernel.errors import CopyGone, ObjectChanged, ObjectMissing
from chalicelib.platform.outages import is_outage
from chalicelib.processing.digests import Digests
from chalicelib.processing.ports import CheckedBytes, Objects, TempObject
from tests import collision
from tests.unit import samples
from tests.unit.stores.sides import COPY_PART_BYTES, COPY_WHOLE_BYTES, PAGE, Side

ORGANIZATION = "0d3a2b6e-1111-4222-8333-444455556666"
OTHER_ORGANIZATION = "0d3a2b6e-1111-4222-8333-444455557777"
FILE = "01890000-0000-7000-8000-000000000000"
OTHER_FILE = "01890000-0000-7000-8000-000000000001"
NAME = "Grüße.txt"
TEMP_KEY = keys.temp_key(ORGANIZATION, FILE)
KEY = keys.permanent_key(ORGANIZATION, FILE, NAME)
BODY = b"The quarterly report.\n" * 50
TTL_SECONDS = 60
LONG = samples.random_bytes(3 * 1024 * 1024 + 5)
LARGE = samples.random_bytes(COPY_PART_BYTES + 1000)
SMALL_PAIR, LARGE_PAIR = collision.pair(b"a common end"), collision.pair(bytes(COPY_PART_BYTES + 1000))


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def opened(objects: Objects) -> TempObject:
    with objects.open_temp(ORGANIZATION, FILE) as source:
        return source


def checked(source: TempObject, body: bytes) -> CheckedBytes:
    digests = Digests(source.copy_part_bytes)
    digests.update(body)
    return digests.finish()


def copy(objects: Objects, source: TempObject, body: bytes, name: str = NAME) -> str | None:
    return objects.copy_to_permanent(
        ORGANIZATION,
        FILE,
        name,
        source,
        checked(source, body),
        content_type="text/plain",
        disposition="attachment; filename=a",
    )


def stored(side: Side, body: bytes = BODY, name: str = NAME) -> str:
    """The version of a new copy of these bytes."""
    side.storage.put(TEMP_KEY, body)
    version = copy(side.objects, opened(side.objects), body, name)
    assert version is not None
    return version


class TestUpload:
    @pytest.mark.parametrize("body", [b"", b"x", LONG], ids=len)
    def test_what_was_put_can_be_read(self, side: Side, body: bytes) -> None:
        side.objects.put_temp(ORGANIZATION, FILE, body, sha256(body))
        assert side.storage.temp() == {TEMP_KEY: body}
        with side.objects.open_temp(ORGANIZATION, FILE) as source:
            assert (source.size_bytes, source.verified_sha256) == (len(body), sha256(body))
            assert b"".join(source.chunks) == body

    def test_file_is_put_from_its_start(self, side: Side) -> None:
        file = io.BytesIO(LONG)
        file.seek(3)
        side.objects.put_temp(ORGANIZATION, FILE, file, sha256(LONG))
        assert side.storage.temp() == {TEMP_KEY: LONG}

    def test_bytes_of_another_checksum_are_refused(self, side: Side) -> None:
        with pytest.raises(Exception, match=r"BadDigest|another SHA-256"):
            side.objects.put_temp(ORGANIZATION, FILE, BODY, sha256(BODY + b"."))
        assert side.storage.temp() == {}

    def test_later_bytes_take_the_place_of_earlier_ones(self, side: Side) -> None:
        for body in (BODY, BODY[::-1]):
            side.objects.put_temp(ORGANIZATION, FILE, body, sha256(body))
        assert side.storage.temp() == {TEMP_KEY: BODY[::-1]}

    def test_arrival_is_announced(self, side: Side) -> None:
        side.objects.put_temp(ORGANIZATION, FILE, BODY, sha256(BODY))
        (message,) = side.messages.receive()
        assert side.direct_uploads.bucket in message.body
        assert FILE in message.body

    def test_checksum_that_nobody_sent_is_not_told(self, side: Side) -> None:
        side.storage.put(TEMP_KEY, BODY)
        assert opened(side.objects).verified_sha256 is None

    def test_each_file_of_each_organization_is_an_object_of_its_own(self, side: Side) -> None:
        named = [(ORGANIZATION, FILE), (OTHER_ORGANIZATION, FILE), (ORGANIZATION, OTHER_FILE)]
        for organization_id, file_id in named:
            body = f"{organization_id} {file_id}".encode()
            side.objects.put_temp(organization_id, file_id, body, sha256(body))
        for organization_id, file_id in named:
            with side.objects.open_temp(organization_id, file_id) as source:
                assert b"".join(source.chunks) == f"{organization_id} {file_id}".encode()
        side.objects.delete_temp(ORGANIZATION, FILE)
        assert [side.objects.temp_exists(*name) for name in named] == [False, True, True]

    def test_bucket_of_the_uploads_is_known_by_name(self, side: Side) -> None:
        assert side.objects.is_temp_bucket(side.direct_uploads.bucket)
        assert not side.objects.is_temp_bucket("somebody-elses")

    def test_deleting_can_be_repeated(self, side: Side) -> None:
        side.storage.put(TEMP_KEY, BODY)
        side.storage.put("stray/key", BODY)
        for _ in range(2):
            side.objects.delete_temp(ORGANIZATION, FILE)
            side.objects.delete_stray("stray/key")
        assert side.storage.temp() == {}
        assert not side.objects.temp_exists(ORGANIZATION, FILE)

    def test_old_ones_are_listed_on_all_pages_and_young_ones_not(self, side: Side) -> None:
        morning = datetime(2026, 1, 1, 6, tzinfo=UTC)
        with time_machine.travel(morning, tick=False):
            for number in range(2 * PAGE + 1):
                side.storage.put(f"stray {number}", BODY)
        with time_machine.travel(morning + timedelta(hours=2), tick=False):
            side.storage.put(TEMP_KEY, BODY)
        found = side.objects.temp_keys_before(morning + timedelta(hours=1))
        assert sorted(found) == [f"stray {number}" for number in range(2 * PAGE + 1)]
        assert list(side.objects.temp_keys_before(morning)) == []


class TestReading:
    def test_upload_that_is_not_there(self, side: Side) -> None:
        with pytest.raises(ObjectMissing), side.objects.open_temp(ORGANIZATION, FILE):
            raise AssertionError("it was opened")

    def test_reading_ends_with_the_block(self, side: Side) -> None:
        side.storage.put(TEMP_KEY, LONG)
        with side.objects.open_temp(ORGANIZATION, FILE) as source:
            first = next(source.chunks)
        assert LONG.startswith(first)
        assert list(source.chunks) == []

    def test_etag_tells_other_bytes(self, side: Side) -> None:
        side.storage.put(TEMP_KEY, BODY)
        first = opened(side.objects).etag
        assert opened(side.objects).etag == first
        side.storage.put(TEMP_KEY, BODY[::-1])
        assert opened(side.objects).etag != first

    def test_what_was_opened_is_read_to_its_end_whatever_comes_after(self, side: Side) -> None:
        side.storage.put(TEMP_KEY, LONG)
        with side.objects.open_temp(ORGANIZATION, FILE) as source:
            first = next(source.chunks)
            side.storage.put(TEMP_KEY, LONG[::-1])
            assert first + b"".join(source.chunks) == LONG

    def test_broken_connection_is_taken_up_where_it_broke(self, side: Side) -> None:
        side.storage.put(TEMP_KEY, LONG)
        with side.wire.breaking_connections(), side.objects.open_temp(ORGANIZATION, FILE) as source:
            assert b"".join(source.chunks) == LONG

    @pytest.mark.parametrize(
        ("meanwhile", "error"),
        [
            (lambda side: side.storage.put(TEMP_KEY, LONG[::-1]), ObjectChanged),
            (lambda side: side.objects.delete_temp(ORGANIZATION, FILE), ObjectMissing),
        ],
        ids=["overwritten", "gone"],
    )
    def test_bytes_of_two_uploads_are_never_mixed(
        self, side: Side, meanwhile: Callable[[Side], None], error: type[Exception]
    ) -> None:
        side.storage.put(TEMP_KEY, LONG)
        with side.wire.breaking_connections(), side.objects.open_temp(ORGANIZATION, FILE) as source:
            first = next(source.chunks)
            meanwhile(side)
            with pytest.raises(error):
                list(source.chunks)
        assert LONG.startswith(first)


class TestReadingFromTheMiddle:
    @pytest.mark.parametrize("first_byte", [0, 1, len(LONG) - 1])
    def test_rest_is_read_and_the_size_is_that_of_the_whole(self, side: Side, first_byte: int) -> None:
        side.storage.put(TEMP_KEY, LONG)
        with side.objects.open_temp(ORGANIZATION, FILE, first_byte=first_byte) as source:
            assert source.size_bytes == len(LONG)
            assert b"".join(source.chunks) == LONG[first_byte:]

    def test_broken_connection_is_taken_up_where_it_broke(self, side: Side) -> None:
        side.storage.put(TEMP_KEY, LONG)
        with side.wire.breaking_connections(), side.objects.open_temp(ORGANIZATION, FILE, first_byte=77) as source:
            assert b"".join(source.chunks) == LONG[77:]

    @pytest.mark.parametrize("first_byte", [0, 77])
    def test_other_bytes_are_refused(self, side: Side, first_byte: int) -> None:
        side.storage.put(TEMP_KEY, LONG)
        etag = opened(side.objects).etag
        with side.objects.open_temp(ORGANIZATION, FILE, first_byte=first_byte, etag=etag) as source:
            assert source.etag == etag
        side.storage.put(TEMP_KEY, LONG[::-1])
        with (
            pytest.raises(ObjectChanged),
            side.objects.open_temp(ORGANIZATION, FILE, first_byte=first_byte, etag=etag),
        ):
            raise AssertionError("it was opened")

    def test_checksums_are_those_of_the_whole_only(self, side: Side) -> None:
        side.objects.put_temp(ORGANIZATION, FILE, LONG, sha256(LONG))
        with side.objects.open_temp(ORGANIZATION, FILE, first_byte=1) as source:
            assert (source.verified_sha256, source.verified_crc64nvme) == (None, None)


LONGER = samples.random_bytes(3 * COPY_PART_BYTES + 1000)


def in_parts(side: Side, body: bytes) -> TempObject:
    """An upload whose CRC64NVME storage has verified."""
    uploads = side.direct_uploads
    upload_id = uploads.start_multipart(ORGANIZATION, FILE, "text/plain")
    url = uploads.presign_part(ORGANIZATION, FILE, upload_id, 1, exact_bytes=None, ttl_seconds=TTL_SECONDS)
    assert side.storage.send_part(url, body)
    uploads.complete(ORGANIZATION, FILE, upload_id, uploads.parts(ORGANIZATION, FILE, upload_id))
    return opened(side.objects)


def begin(side: Side) -> str:
    named: dict[str, str] = {"content_type": "text/plain", "disposition": "attachment; filename=a"}
    return side.objects.begin_copy(ORGANIZATION, FILE, NAME, **named)


def go_on(side: Side, copy_id: str, source: TempObject, *, time_is_up: bool = False) -> bool:
    return side.objects.copy_parts(ORGANIZATION, FILE, NAME, copy_id, source, lambda: time_is_up)


def finish(side: Side, copy_id: str, source: TempObject) -> str | None:
    return side.objects.finish_copy(ORGANIZATION, FILE, NAME, copy_id, source)


class TestLongCopy:
    def test_it_goes_on_where_it_stopped(self, side: Side) -> None:
        source = in_parts(side, LONGER)
        copy_id = begin(side)
        done = [go_on(side, copy_id, source, time_is_up=True) for _ in range(4)]
        assert done == [False, False, False, True], "at least one part each time"
        assert go_on(side, copy_id, source, time_is_up=True), "nothing is missing"
        assert side.storage.permanent() == {}
        version = finish(side, copy_id, source)
        assert side.storage.permanent() == {KEY: LONGER}
        assert side.storage.headers(KEY) == ("text/plain", "attachment; filename=a")
        assert download(side, version) == LONGER
        assert side.storage.temp() == {TEMP_KEY: LONGER}, "it is a copy"

    def test_all_is_copied_at_once_where_there_is_time(self, side: Side) -> None:
        source = in_parts(side, LONGER)
        copy_id = begin(side)
        assert go_on(side, copy_id, source)
        finish(side, copy_id, source)
        assert side.storage.permanent() == {KEY: LONGER}

    def test_of_an_overwritten_upload_is_refused(self, side: Side) -> None:
        source = in_parts(side, LONGER)
        copy_id = begin(side)
        side.storage.put(TEMP_KEY, LONGER[::-1])
        with pytest.raises(ObjectChanged):
            go_on(side, copy_id, source)

    def test_of_an_upload_that_is_gone_is_refused(self, side: Side) -> None:
        source = in_parts(side, LONGER)
        copy_id = begin(side)
        side.objects.delete_temp(ORGANIZATION, FILE)
        with pytest.raises(ObjectMissing):
            go_on(side, copy_id, source)

    def test_with_another_checksum_is_taken_back(self, side: Side) -> None:
        earlier = stored(side, b"checked before")
        source = in_parts_anew(side, LONGER)
        copy_id = begin(side)
        go_on(side, copy_id, source)
        with pytest.raises(ObjectChanged):
            finish(side, copy_id, replace(source, verified_crc64nvme="AAAAAAAAAAA="))
        assert side.storage.permanent() == {KEY: b"checked before"}
        assert download(side, earlier) == b"checked before"

    def test_that_is_over_is_gone(self, side: Side) -> None:
        source = in_parts(side, LONGER)
        finished, given_up = begin(side), begin(side)
        go_on(side, finished, source)
        finish(side, finished, source)
        for _ in range(2):
            side.objects.abort_copy(ORGANIZATION, FILE, NAME, given_up)
        for copy_id in (finished, given_up):
            with pytest.raises(CopyGone):
                go_on(side, copy_id, source)
            with pytest.raises(CopyGone):
                finish(side, copy_id, source)
        assert side.storage.permanent() == {KEY: LONGER}

    def test_is_of_one_file_only(self, side: Side) -> None:
        source = in_parts(side, LONGER)
        copy_id = begin(side)
        with pytest.raises((CopyGone, ObjectMissing)):
            side.objects.copy_parts(ORGANIZATION, OTHER_FILE, NAME, copy_id, source, lambda: False)


def in_parts_anew(side: Side, body: bytes) -> TempObject:
    """As :func:`in_parts`, where there was an upload before."""
    side.objects.delete_temp(ORGANIZATION, FILE)
    return in_parts(side, body)


@pytest.mark.parametrize("body", [b"", BODY, LARGE], ids=["empty", "whole", "in parts"])
class TestCopy:
    def test_it_holds_the_bytes_with_type_and_disposition(self, side: Side, body: bytes) -> None:
        stored(side, body)
        assert side.storage.permanent() == {KEY: body}
        assert side.storage.headers(KEY) == ("text/plain", "attachment; filename=a")
        assert side.storage.temp() == {TEMP_KEY: body}, "it is a copy"

    def test_large_ones_go_in_parts(self, side: Side, body: bytes) -> None:
        side.storage.put(TEMP_KEY, body)
        assert opened(side.objects).copy_part_bytes == (COPY_PART_BYTES if len(body) > COPY_WHOLE_BYTES else None)

    def test_of_an_overwritten_upload_is_refused(self, side: Side, body: bytes) -> None:
        side.storage.put(TEMP_KEY, body)
        source = opened(side.objects)
        side.storage.put(TEMP_KEY, body + b".")
        with pytest.raises(ObjectChanged):
            copy(side.objects, source, body)
        assert side.storage.permanent() == {}

    def test_of_an_upload_that_is_gone_is_refused(self, side: Side, body: bytes) -> None:
        side.storage.put(TEMP_KEY, body)
        source = opened(side.objects)
        side.objects.delete_temp(ORGANIZATION, FILE)
        with pytest.raises(ObjectMissing):
            copy(side.objects, source, body)
        assert side.storage.permanent() == {}

    def test_of_other_bytes_than_were_checked_is_taken_back(self, side: Side, body: bytes) -> None:
        earlier = stored(side, b"checked before")
        side.storage.put(TEMP_KEY, body)
        with pytest.raises(ObjectChanged):
            copy(side.objects, opened(side.objects), body + b".")
        assert side.storage.permanent() == {KEY: b"checked before"}
        assert download(side, earlier) == b"checked before"


@pytest.mark.parametrize("pair", [SMALL_PAIR, LARGE_PAIR], ids=["whole", "in parts"])
def test_copy_is_proved_by_sha256_and_not_by_etag(side: Side, pair: tuple[bytes, bytes]) -> None:
    body, twin = pair
    side.storage.put(TEMP_KEY, body)
    source = opened(side.objects)
    side.storage.put(TEMP_KEY, twin)
    assert opened(side.objects).etag == source.etag
    with pytest.raises(ObjectChanged):
        copy(side.objects, source, body)
    assert side.storage.permanent() == {}


class TestVersions:
    def test_last_copy_is_current_and_each_can_be_taken_back(self, side: Side) -> None:
        first, second = stored(side, b"first"), stored(side, b"second")
        assert first != second
        assert side.storage.permanent() == {KEY: b"second"}
        for _ in range(2):
            side.objects.delete_permanent_version(ORGANIZATION, FILE, NAME, second)
            assert side.storage.permanent() == {KEY: b"first"}
        side.objects.delete_permanent_version(ORGANIZATION, FILE, NAME, first)
        assert side.storage.permanent() == {}

    def test_earlier_copy_can_be_taken_back_under_a_later_one(self, side: Side) -> None:
        first, second = stored(side, b"first"), stored(side, b"second")
        side.objects.delete_permanent_version(ORGANIZATION, FILE, NAME, first)
        assert side.storage.permanent() == {KEY: b"second"}
        assert (download(side, first), download(side, second)) == (None, b"second")

    def test_what_was_written_over_a_copy_is_taken_back_and_no_more(self, side: Side) -> None:
        before, right, later = stored(side, b"before"), stored(side, b"right"), stored(side, b"later")
        side.objects.delete_permanent(ORGANIZATION, FILE, NAME)
        for taken_back in (2, 0):
            assert side.objects.make_current(ORGANIZATION, FILE, NAME, str(right)) == taken_back
            assert side.storage.permanent() == {KEY: b"right"}
        assert (download(side, before), download(side, later)) == (b"before", None)

    def test_nothing_is_taken_back_for_a_copy_that_is_gone(self, side: Side) -> None:
        gone, later = stored(side, b"gone"), stored(side, b"later")
        side.objects.delete_permanent_version(ORGANIZATION, FILE, NAME, str(gone))
        assert side.objects.make_current(ORGANIZATION, FILE, NAME, str(gone)) == 0
        assert (side.storage.permanent(), download(side, later)) == ({KEY: b"later"}, b"later")

    def test_deletion_hides_the_copies_and_can_be_taken_back(self, side: Side) -> None:
        version = stored(side)
        mark = side.objects.delete_permanent(ORGANIZATION, FILE, NAME)
        assert mark not in (None, version)
        assert side.storage.permanent() == {}
        assert download(side, None) is None
        assert download(side, version) == BODY
        side.objects.delete_permanent_version(ORGANIZATION, FILE, NAME, str(mark))
        assert side.storage.permanent() == {KEY: BODY}

    def test_deletion_can_be_repeated_and_be_of_nothing(self, side: Side) -> None:
        side.objects.delete_permanent(ORGANIZATION, FILE, NAME)
        stored(side)
        for _ in range(2):
            side.objects.delete_permanent(ORGANIZATION, FILE, NAME)
        assert side.storage.permanent() == {}

    def test_copy_after_a_deletion_is_current(self, side: Side) -> None:
        stored(side)
        side.objects.delete_permanent(ORGANIZATION, FILE, NAME)
        stored(side, b"again")
        assert side.storage.permanent() == {KEY: b"again"}

    def test_deletion_whatever_the_name_touches_no_other_file(self, side: Side) -> None:
        stored(side, b"a", "a.txt")
        stored(side, b"b", "b.txt")
        side.storage.put(keys.temp_key(ORGANIZATION, OTHER_FILE), BODY)
        with side.objects.open_temp(ORGANIZATION, OTHER_FILE) as source:
            pass
        named: dict[str, Any] = {"content_type": "text/plain", "disposition": "attachment"}
        side.objects.copy_to_permanent(ORGANIZATION, OTHER_FILE, NAME, source, CheckedBytes(sha256(BODY)), **named)
        for _ in range(2):
            side.objects.delete_permanent_of(ORGANIZATION, FILE)
        assert side.storage.permanent() == {keys.permanent_key(ORGANIZATION, OTHER_FILE, NAME): BODY}


def url_of(side: Side, version: str | None, **changed: Any) -> str:
    wanted: dict[str, Any] = {
        "version": version,
        "disposition": "attachment; filename=\"a.txt\"; filename*=UTF-8''%C3%BC.txt",
        "content_type": "text/csv",
        "ttl_seconds": TTL_SECONDS,
        **changed,
    }
    return side.objects.download_url(ORGANIZATION, FILE, NAME, **wanted)


def download(side: Side, version: str | None) -> bytes | None:
    got = side.storage.download(url_of(side, version))
    return got.body if got is not None else None


class TestDownload:
    def test_address_is_of_the_origin_whose_pictures_pages_are_allowed_to_show(self, side: Side) -> None:
        assert url_of(side, stored(side)).startswith(side.objects.download_origin)

    def test_answer_has_the_bytes_and_the_headers_that_were_asked_for(self, side: Side) -> None:
        got = side.storage.download(url_of(side, stored(side)))
        assert got is not None
        assert (got.body, got.content_type) == (BODY, "text/csv")
        assert got.disposition == "attachment; filename=\"a.txt\"; filename*=UTF-8''%C3%BC.txt"

    def test_version_that_is_named_is_given_and_else_the_current_one(self, side: Side) -> None:
        first = stored(side, b"first")
        stored(side, b"second")
        assert (download(side, first), download(side, None)) == (b"first", b"second")

    def test_head_has_the_headers_only(self, side: Side) -> None:
        url = url_of(side, stored(side), method="head_object")
        got = side.storage.download(url, "HEAD")
        assert got is not None
        assert (got.body, got.content_type) == (b"", "text/csv")
        assert side.storage.download(url, "GET") is None

    def test_url_expires(self, side: Side) -> None:
        version = stored(side)
        signed_at = datetime(2026, 1, 1, tzinfo=UTC)
        with time_machine.travel(signed_at, tick=False):
            url = url_of(side, version)
        for seconds, taken in ((TTL_SECONDS - 1, True), (TTL_SECONDS, False)):
            with time_machine.travel(signed_at + timedelta(seconds=seconds), tick=False):
                assert (side.storage.download(url) is not None) == taken

    def test_url_is_good_for_nothing_else(self, side: Side) -> None:
        url = url_of(side, stored(side))
        forged = {url[:-1], f"{url}0", url.replace(FILE, OTHER_FILE), url.replace("csv", "html")} - {url}
        assert [side.storage.download(other) for other in forged] == [None] * len(forged)


CALLS: dict[str, Callable[[Objects, TempObject], object]] = {
    "put_temp": lambda objects, _: objects.put_temp(ORGANIZATION, FILE, b"x", sha256(b"x")),
    "open_temp": lambda objects, _: opened(objects),
    "temp_exists": lambda objects, _: objects.temp_exists(ORGANIZATION, FILE),
    "delete_temp": lambda objects, _: objects.delete_temp(ORGANIZATION, FILE),
    "delete_stray": lambda objects, _: objects.delete_stray(TEMP_KEY),
    "temp_keys_before": lambda objects, _: list(objects.temp_keys_before(datetime.now(UTC))),
    "copy_to_permanent": lambda objects, source: copy(objects, source, BODY, "other.txt"),
    "delete_permanent": lambda objects, _: objects.delete_permanent(ORGANIZATION, FILE, NAME),
    "delete_permanent_version": lambda objects, _: objects.delete_permanent_version(ORGANIZATION, FILE, NAME, "v"),
    "make_current": lambda objects, _: objects.make_current(ORGANIZATION, FILE, NAME, "v"),
    "delete_permanent_of": lambda objects, _: objects.delete_permanent_of(ORGANIZATION, FILE),
}


class TestOutage:
    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_it_is_told_from_other_errors_and_changes_nothing(
        self, side: Side, call: Callable[[Objects, TempObject], object]
    ) -> None:
        stored(side)
        source = opened(side.objects)
        with side.wire.away(), pytest.raises(Exception, match=r"away\.example") as outage:
            call(side.objects, source)
        assert is_outage(outage.value)
        assert (side.storage.temp(), side.storage.permanent()) == ({TEMP_KEY: BODY}, {KEY: BODY})
        call(side.objects, source)

    def test_health_is_told_and_not_raised(self, side: Side) -> None:
        assert side.objects.is_reachable()
        with side.wire.away():
            assert not side.objects.is_reachable()

    def test_url_is_signed_without_asking(self, side: Side) -> None:
        version = stored(side)
        with side.wire.away():
            url = url_of(side, version)
        assert side.storage.download(url) is not None
