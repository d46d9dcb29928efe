"""What arrives in parts stays within what is reserved, whatever the URLs allow."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import time_machine
from chalice.app import Rate, ScheduledEventConfig

import app
from chalicelib.files.record import File
from chalicelib.files.recounting import recount
from chalicelib.sweep.sweeping import NEVER_ARRIVED, sweep
from chalicelib.tenants import organizations as tenants
from chalicelib.uploads.direct_uploads import multipart_ttl_seconds
from chalicelib.uploads.part_limits import (
    GROWTH_BYTES,
    MAX_PARTS_AHEAD,
    OPEN_URL_TTL_SECONDS,
    part_bytes_of_uppy,
)
from chalicelib.uploads.parts import MAX_PARTS, MIN_PART_BYTES
from tests.aws_calls import aws_calls, just_before
from tests.unit.api import Answer, Api, Session
from tests.unit.cloud import TEMP_BUCKET
from tests.unit.conftest import Configure
from tests.unit.world import World

MEBIBYTE = 1024 * 1024
PART = MIN_PART_BYTES
MOST = 1024 * MEBIBYTE
SWEEP_SECONDS = 300
DECISION = Path(__file__).parents[3] / "docs/decisions/0021-what-arrives-in-parts-is-counted.md"


@pytest.fixture(autouse=True)
def small_reservation(configure: Configure) -> None:
    """An upload of unknown size reserves one part's bytes."""
    configure(MAX_DIRECT_UPLOAD_BYTES=MOST, MULTIPART_THRESHOLD_BYTES=PART)


class Upload:
    """An upload in Uppy's words, and what S3 would take of it."""

    def __init__(self, world: World, api: Api, session: Session, **metadata: Any) -> None:
        self.world, self.api, self.session = world, api, session
        body = {"filename": "a.bin", "type": "application/zip", "metadata": metadata}
        self.created = api.post("/s3/multipart", session, json_body=body).json
        self.file_id = self.created["key"].partition("/")[2]
        self.path = f"/s3/multipart/{self.created['uploadId']}"
        self.key = f"?key={quote(self.created['key'])}"

    def sign(self, number: int) -> Answer:
        return self.api.get(f"{self.path}/{number}{self.key}", self.session)

    def send(self, number: int, size_bytes: int) -> None:
        """What a URL that fixes no length allows."""
        self.world.s3.upload_part(
            Bucket=TEMP_BUCKET,
            Key=self.created["key"],
            UploadId=self.created["uploadId"],
            PartNumber=number,
            Body=b"z" * size_bytes,
        )

    @property
    def file(self) -> File:
        file = self.world.file(self.file_id)
        assert file is not None
        return file

    def check_given_up(self, reason: str) -> None:
        assert self.file.status == "failed"
        assert reason in (self.file.error_message or "")
        assert self.world.organization().usage.bytes_used == 0
        assert self.world.s3.list_multipart_uploads(Bucket=TEMP_BUCKET).get("Uploads", []) == []
        assert not recount(self.world.stores, self.file.organization_id).differences
        assert self.sign(1).status == 409
        assert self.api.post(f"/files/{self.file_id}/retry", self.session).status == 409


@pytest.fixture
def unknown(world: World, api: Api, anna: Session) -> Upload:
    return Upload(world, api, anna)


def quota(world: World, anna: Session, size_bytes: int) -> None:
    tenants.set_quota(world.stores, anna.caller.organization_id, size_bytes, 10)


def expiry_of(url: str) -> int:
    return int(parse_qs(urlsplit(url).query)["X-Amz-Expires"][0])


def takes_exactly(world: World, upload: Upload, number: int, length: int) -> bool:
    """The length is in the signature and nowhere else: the same URL, signed in the same second, is the proof."""
    with time_machine.travel(datetime.now(UTC), tick=False):
        url = upload.sign(number).json["url"]
        file = upload.file
        return bool(
            url
            == world.stores.direct_uploads.presign_part(
                file.organization_id,
                file.file_id,
                str(file.multipart_upload_id),
                number,
                exact_bytes=length,
                ttl_seconds=expiry_of(url),
            )
        )


class TestKnownSize:
    def test_url_takes_exactly_the_bytes_of_its_part(self, world: World, api: Api, anna: Session) -> None:
        """As the report had it: a quota of 1 MB, a size of 1, and 30 MiB were stored."""
        quota(world, anna, MEBIBYTE)
        assert takes_exactly(world, Upload(world, api, anna, size=1), 1, 1)

    def test_parts_add_up_to_the_size(self, world: World, api: Api, anna: Session) -> None:
        upload = Upload(world, api, anna, size=2 * PART + 3)
        for number, length in ((1, PART), (2, PART), (3, 3)):
            assert takes_exactly(world, upload, number, length)
        assert upload.sign(4).status == 400

    def test_signing_needs_no_count(self, world: World, api: Api, anna: Session) -> None:
        upload = Upload(world, api, anna, size=2 * PART)
        with aws_calls() as made:
            assert upload.sign(1).status == 200
        assert made == ["dynamodb.GetItem"] * 2

    @pytest.mark.parametrize("by", ["complete", "sweep"])
    def test_more_than_announced_is_given_up(self, world: World, api: Api, anna: Session, by: str) -> None:
        upload = Upload(world, api, anna, size=PART)
        upload.send(1, PART)
        assert sweep(world.stores) == {}
        upload.send(2, 1)
        if by == "sweep":
            assert sweep(world.stores) == {"given_up": 1}
        else:
            assert api.post(f"/files/{upload.file_id}/complete", anna).status == 413
        upload.check_given_up(f"{PART + 1} bytes have arrived, of {PART} announced")

    @pytest.mark.parametrize("size", [0, 1, PART, 10_000 * PART, 10_000 * PART + 1, 5 * 1024**4])
    def test_cut_is_that_of_uppy(self, size: int) -> None:
        """@uppy/aws-s3 5 and 6: ``Math.max(5 MiB, Math.ceil(size / 10000))``."""
        assert part_bytes_of_uppy(size) == max(PART, (size + 9_999) // 10_000)
        assert -(-size // part_bytes_of_uppy(size)) <= MAX_PARTS


class TestUnknownSize:
    def test_urls_live_minutes_and_say_so(self, unknown: Upload, world: World, api: Api, anna: Session) -> None:
        signed = unknown.sign(1).json
        assert expiry_of(signed["url"]) == signed["expires"] == OPEN_URL_TTL_SECONDS
        known = Upload(world, api, anna, size=PART).sign(1).json
        assert expiry_of(known["url"]) == known["expires"] == world.stores.settings.upload_url_ttl_seconds

    def test_signing_counts_what_has_arrived(self, unknown: Upload) -> None:
        with aws_calls() as made:
            assert unknown.sign(1).status == 200
        assert made == ["dynamodb.GetItem", "dynamodb.GetItem", "s3.ListParts"]

    def test_reservation_grows_with_what_arrives(self, unknown: Upload, world: World) -> None:
        unknown.send(1, PART)
        unknown.send(2, PART)
        with aws_calls() as made:
            assert unknown.sign(3).status == 200
        # The user has this upload open, so the share of the quota counts; a process reads the quota once.
        transaction = "dynamodb.TransactWriteItems"
        assert made[3:] == [transaction, "dynamodb.GetItem", transaction]
        assert world.organization().usage.bytes_used == 2 * PART + GROWTH_BYTES
        unknown.send(3, PART)
        with aws_calls() as made:
            assert unknown.sign(4).status == 200
        assert made[3:] == [], "it has grown by more than a part"

    def test_reservation_grows_to_the_byte_where_there_is_no_more_room(
        self, unknown: Upload, world: World, anna: Session, configure: Configure
    ) -> None:
        configure(MAX_OPEN_PERCENT_PER_USER=100)
        quota(world, anna, 2 * PART)
        unknown.send(1, PART)
        unknown.send(2, PART)
        assert unknown.sign(3).status == 200
        assert world.organization().usage.bytes_available == 0

    @pytest.mark.parametrize("by", ["sign", "batch", "own route", "complete", "sweep"])
    def test_more_than_there_is_room_for_is_given_up(
        self, unknown: Upload, world: World, api: Api, anna: Session, by: str
    ) -> None:
        quota(world, anna, 2 * PART)
        unknown.send(1, 2 * PART + 1)
        own = f"/files/{unknown.file_id}"
        if by == "sweep":
            assert sweep(world.stores) == {"given_up": 1}
        else:
            answer = {
                "sign": lambda: unknown.sign(2),
                "batch": lambda: api.get(f"{unknown.path}/batch{unknown.key}&partNumbers=2,3", anna),
                "own route": lambda: api.post(f"{own}/parts", anna, json_body={"part_numbers": [2]}),
                "complete": lambda: api.post(f"{own}/complete", anna),
            }[by]()
            assert (answer.status, answer.json["error"]) == (409, unknown.file.error_message)
        unknown.check_given_up(f"of its {2 * PART}")

    def test_more_than_a_file_may_have_is_given_up(self, unknown: Upload, configure: Configure) -> None:
        configure(MAX_DIRECT_UPLOAD_BYTES=PART, MULTIPART_THRESHOLD_BYTES=PART)
        unknown.send(1, PART + 1)
        assert unknown.sign(2).status == 413
        unknown.check_given_up(f"at most {PART} bytes")

    def test_only_so_many_parts_are_signed_ahead_of_what_has_arrived(self, unknown: Upload) -> None:
        assert unknown.sign(MAX_PARTS_AHEAD).status == 200
        refused = unknown.sign(MAX_PARTS_AHEAD + 1)
        assert refused.status == 409
        assert "too far ahead" in refused.json["error"]
        unknown.send(1, PART - 1)
        assert unknown.sign(MAX_PARTS_AHEAD + 1).status == 409, "a part that is too small earns no other URL"
        unknown.send(1, PART)
        assert unknown.sign(MAX_PARTS_AHEAD + 1).status == 200
        assert unknown.file.status == "pending"

    def test_part_that_has_arrived_can_be_sent_again_at_its_length(self, unknown: Upload, world: World) -> None:
        unknown.send(1, 1000)
        assert takes_exactly(world, unknown, 1, 1000)
        assert not takes_exactly(world, unknown, 2, 1000)

    def test_parts_that_arrive_side_by_side_grow_it_once(self, unknown: Upload, world: World) -> None:
        unknown.send(1, 2 * PART)
        with just_before("dynamodb.TransactWriteItems", lambda: unknown.sign(2)):
            assert unknown.sign(3).status == 200
        assert unknown.file.reserved_bytes == 2 * PART + GROWTH_BYTES
        assert not recount(world.stores, unknown.file.organization_id).differences

    def test_upload_that_is_deleted_while_it_grows_stays_deleted(self, unknown: Upload, world: World) -> None:
        unknown.send(1, 2 * PART)
        delete = f"{unknown.path}{unknown.key}"
        with just_before("dynamodb.TransactWriteItems", lambda: unknown.api.delete(delete, unknown.session)):
            assert unknown.sign(2).status == 409
        assert world.organization().usage.bytes_used == 0
        assert [row for row in world.rows("files") if "filename" in row] == []

    def test_parts_that_were_not_listed_take_room_until_the_others_are_together(
        self, unknown: Upload, world: World, api: Api, anna: Session
    ) -> None:
        unknown.send(1, PART)
        unknown.send(2, 7)
        etag = api.get(unknown.path + unknown.key, anna).json[0]["ETag"]
        listed = {"parts": [{"PartNumber": 1, "ETag": etag}]}
        assert api.post(f"{unknown.path}/complete{unknown.key}", anna, json_body=listed).status == 200
        assert unknown.file.reserved_bytes == PART + 7
        world.drain()
        assert (unknown.file.status, unknown.file.reserved_bytes) == ("completed", PART)

    def test_upload_that_is_being_put_together_takes_no_more_parts(self, unknown: Upload, world: World) -> None:
        world.stores.files.replace(unknown.file, replace(unknown.file, size_is_exact=True))
        assert unknown.sign(1).status == 409

    def test_sweep_ends_what_was_given_up_half_way(self, unknown: Upload, world: World) -> None:
        unknown.send(1, PART)
        world.s3.abort_multipart_upload(
            Bucket=TEMP_BUCKET, Key=unknown.created["key"], UploadId=unknown.created["uploadId"]
        )
        assert sweep(world.stores) == {}, "it may be being put together at this moment"
        assert sweep(world.stores, stale_seconds=0) == {"left": 1, "expired": 1}
        assert (unknown.file.status, unknown.file.error_message) == ("failed", NEVER_ARRIVED)


def test_upload_of_the_own_routes_is_not_for_uppys(world: World, api: Api, anna: Session) -> None:
    started = api.post("/files", anna, json_body={"filename": "a", "size": 2 * PART}).json
    file = world.file(started["id"])
    assert file is not None
    path, key = f"/s3/multipart/{file.multipart_upload_id}", f"?key={quote(world.temp_key(file.file_id))}"
    before = world.snapshot()
    for method, address, body in (
        ("GET", f"{path}{key}", None),
        ("GET", f"{path}/1{key}", None),
        ("GET", f"{path}/batch{key}&partNumbers=1", None),
        ("POST", f"{path}/complete{key}", {"parts": []}),
        ("DELETE", f"{path}{key}", None),
    ):
        answer = api.request(method, address, session=anna, json_body=body)
        assert answer.status == 409, address
        assert f"/files/{file.file_id}/parts" in answer.json["error"]
    assert world.snapshot() == before


class TestWorstCase:
    """The numbers of docs/decisions/0021, out of the code's constants."""

    DECISION = DECISION.read_text("utf-8").replace("\N{MULTIPLICATION SIGN}", "x")
    MAX_PART_GIB = 5
    DOLLARS_PER_GIB_HOUR = 0.023 / 730

    def urls_without_a_length(self, full_parts: int) -> int:
        return min(MAX_PARTS, MAX_PARTS_AHEAD + full_parts)

    def test_before(self) -> None:
        gib = MAX_PARTS * self.MAX_PART_GIB
        assert f"10,000 x 5 GiB = {gib / 1024:.1f} TiB | 23 hours | ${self.dollars(gib, 23):.2f} |" in self.DECISION

    def test_known_size(self) -> None:
        assert f"23 hours | ${self.dollars(1, multipart_ttl_seconds(days=1) / 3600):.4f} a GiB |" in self.DECISION

    @pytest.mark.parametrize(
        ("full_parts", "row"),
        [
            (0, "32 x 5 GiB = {gib:,} GiB | until the sweep: 5 minutes, as an hour | ${dollars:.3f} |"),
            (1024 // 5, "(32 + 204) x 5 GiB = {gib:,} GiB | likewise | ${dollars:.3f} |"),
            (MAX_PARTS, "48.8 TiB | likewise | ${dollars:.2f} |"),
        ],
    )
    def test_unknown_size(self, full_parts: int, row: str) -> None:
        gib = self.urls_without_a_length(full_parts) * self.MAX_PART_GIB
        assert row.format(gib=gib, dollars=self.dollars(gib, 1)) in self.DECISION

    def test_what_is_under_way_while_it_is_aborted(self) -> None:
        gib = self.urls_without_a_length(0) * self.MAX_PART_GIB
        assert f"{gib} GiB for 192 hours are ${self.dollars(gib, 192):.2f}" in self.DECISION
        gigabits = gib * 1024**3 * 8 / 1e9
        assert f"takes {gigabits / (OPEN_URL_TTL_SECONDS + SWEEP_SECONDS):.1f} Gbit/s" in self.DECISION

    def test_sweep_comes_by_every_five_minutes(self) -> None:
        [source] = [source for source in app.app.event_sources if source.name == "sweep"]
        assert isinstance(source, ScheduledEventConfig)
        schedule = source.schedule_expression
        assert isinstance(schedule, Rate)
        assert schedule.to_string() == f"rate({SWEEP_SECONDS // 60} minutes)"

    def test_counting(self) -> None:
        times = multipart_ttl_seconds(days=1) // SWEEP_SECONDS
        assert f"{times} in 23 hours, ${times * 0.005 / 1000:.4f}" in self.DECISION

    def test_all_urls_that_are_signed_are_counted_in(self, unknown: Upload) -> None:
        """However a client asks, no more URLs that fix no length than the table says."""
        for number in (1, 3, 40):
            if unknown.sign(number).status == 200:
                unknown.send(number, PART)
        numbers = range(1, MAX_PARTS_AHEAD + 10)
        signed = [number for number in numbers if unknown.sign(number).status == 200]
        arrived = {1, 3}
        assert len(signed) == self.urls_without_a_length(len(arrived))

    def dollars(self, gib: float, hours: float) -> float:
        return gib * hours * self.DOLLARS_PER_GIB_HOUR
