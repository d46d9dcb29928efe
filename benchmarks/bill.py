"""What a million uploads of 1 MB cost on AWS, and from what.

Counted: calls, capacity units and lines of the log, from the requests that one upload really sends. Measured: CPU of
each step, by `make bench`, kept in bill_measured.json. Assumed: prices.py. The tables stand in docs/operations.md, and
a unit test holds them together with the counts, so that they can't grow stale.
"""

from __future__ import annotations

import io
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import prices
from benchmarks.capacity import Meter, Reader, Use
from chalicelib import keys
from infra import markdown
from infra.functions import API, PROCESS, PUBLISH, Function
from infra.local.lambda_events import lambda_event, stream_event

if TYPE_CHECKING:
    from chalice.test import Client

UPLOAD_BYTES = 1_000_000
#: How the bytes come: with the request, or from the client to S3.
WAYS = ("by form", "straight to S3")
#: One upload: it is started, processed, and looked at twice. Its two events are published one by one, the dearest way.
START, TAKE, COMPLETE, LOOK, PUBLISHING = "start", "take", "complete", "look", "publish"
LOOKS = 2
#: S3 sends, Lambda receives and deletes.
SQS_REQUESTS = 3
MEASURED = Path(__file__).with_name("bill_measured.json")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "operations.md"
BEGIN = "<!-- The bill down to the next comment is written by `make bench`. -->"
END = "<!-- End of the bill. -->"
REPEATS = 15

_RUNS_IN: dict[str, Function] = {START: API, LOOK: API, TAKE: PROCESS, COMPLETE: PROCESS, PUBLISHING: PUBLISH}
_S3_WRITES = {"s3.PutObject", "s3.CopyObject", "s3.ListObjectsV2"}
_S3_READS = {"s3.GetObject", "s3.HeadObject"}
_FREE = {"s3.DeleteObject"}


@dataclass(frozen=True)
class Place:
    """Where an upload is played: the application in this process, with somebody signed in."""

    client: Client
    #: Of a signed-in user of this organisation.
    headers: Mapping[str, str]
    organization_id: str
    #: What is under a key of the temp bucket from then on.
    put: Callable[[str, bytes], object]
    reader: Reader


@dataclass
class Counted:
    """What one upload takes."""

    uses: list[Use] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    #: Of our own, by step.
    log_lines: Counter[str] = field(default_factory=Counter)

    def units(self, *steps: str, where: str | None = None) -> int:
        """Write units of these steps; all of them, or those of one place (:func:`places`)."""
        return sum(
            units
            for use in self.uses
            if use.step in steps
            for place, units in places(use)
            if where is None or place == where
        )

    def read_units(self) -> float:
        return sum(use.read_units for use in self.uses if use.step != PUBLISHING)

    def number_of(self, calls: set[str]) -> int:
        return sum(call in calls for _, call in self.calls)


ROW, ORGANIZATION, OPEN_UPLOADS, EVENT, FEED, COUNTERS = (
    "row of the file",
    "the organisation's row",
    "the user's list of open uploads",
    "events",
    "feed",
    "rate counters",
)
_PLACES = {"organizations": ORGANIZATION, "event-outbox": EVENT, "events": FEED, "counters": COUNTERS}


def places(use: Use) -> list[tuple[str, int]]:
    """Where the units of a write go: to an item, and to indexes."""
    place = _PLACES.get(use.table, use.table)
    if use.table == "files":
        is_list = (use.after or {}).get("organization_id", {}).get("S", "").startswith("open#")
        place = OPEN_UPLOADS if is_list else ROW
    return [(place, use.item_units), *((f"index `{name}`", units) for name, units in use.index_units)]


#: Does one step of an upload, by its name, and returns what it gave.
Step = Callable[[str, Callable[[], Any]], Any]


def count(place: Place, way: str) -> Counted:
    """Of one upload, after one that is not counted: what a process finds out once is known by then.

    :param way: one of WAYS.
    """
    with redirect_stdout(io.StringIO()):
        _play(place, way, lambda _, act: act())
    counted, meter = Counted(), Meter(place.reader, os.environ["TABLE_PREFIX"])
    # Processing is one invocation: what it does from the reading of the object on is its second step.
    meter.turns[TAKE, "s3.GetObject"] = COMPLETE

    def step(name: str, act: Callable[[], Any]) -> Any:
        said = io.StringIO()
        with meter.step(name), redirect_stdout(said):
            answer = act()
        counted.log_lines[name] += len(said.getvalue().splitlines())
        return answer

    _play(place, way, step)
    counted.uses, counted.calls = meter.uses, _as_on_aws(meter.calls)
    return counted


def _as_on_aws(calls: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """S3 tells the checksum of a copy; the emulator does not, and so each copy is read there."""
    before = [("", ""), *calls]
    return [call for last, call in pairwise(before) if (last[1], call[1]) != ("s3.CopyObject", "s3.GetObject")]


def _play(place: Place, way: str, step: Step) -> None:
    body = bytes(UPLOAD_BYTES)
    file_id = step(START, lambda: _start(place, way, body))
    key = f"{place.organization_id}/{file_id}"
    if way != WAYS[0]:
        place.put(key, body)
    event = _announcement(key)
    answer = step(TAKE, lambda: place.client.lambda_.invoke("process_uploads", event).payload)
    assert answer == {"batchItemFailures": []}, answer
    for _ in range(LOOKS):
        found = step(LOOK, lambda: place.client.http.get(f"/files/{file_id}", headers=dict(place.headers)))
        assert json.loads(found.body)["status"] == "completed"
    events = _events_of(place, file_id)
    assert len(events) == 2, events
    for row in events:
        step(PUBLISHING, partial(place.client.lambda_.invoke, "publish_events", _stream(row)))


def _events_of(place: Place, file_id: str) -> list[Any]:
    """Rows of the outbox."""
    found = place.reader.query(
        TableName=f"{os.environ['TABLE_PREFIX']}-event-outbox",
        KeyConditionExpression="#partition = :partition",
        ExpressionAttributeNames={"#partition": "partition"},
        ExpressionAttributeValues={":partition": {"S": keys.outbox_partition(place.organization_id, file_id)}},
        ConsistentRead=True,
    )
    return [row for row in found["Items"] if file_id in row["told"]["S"]]


def _start(place: Place, way: str, body: bytes) -> str:
    if way == WAYS[0]:
        kind, sent = "multipart/form-data; boundary=b", _form(body)
    else:
        kind, sent = "application/json", json.dumps({"filename": "a.bin", "size": len(body)}).encode()
    answer = place.client.http.post("/files", headers={**place.headers, "Content-Type": kind}, body=sent)
    assert answer.status_code == 201, answer.body
    return str(json.loads(answer.body)["id"])


def _form(content: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    return head + content + b"\r\n--b--\r\n"


def _announcement(key: str) -> dict[str, Any]:
    s3 = {"bucket": {"name": os.environ["TEMP_BUCKET"]}, "object": {"key": key}}
    body = json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]})
    attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": str(round(time.time() * 1000))}
    message = {"MessageId": key, "ReceiptHandle": "-", "Body": body, "MD5OfBody": "-", "Attributes": attributes}
    return lambda_event("arn:aws:sqs:us-east-1:000000000000:uploads", "us-east-1", [message])


def _stream(row: Any) -> dict[str, Any]:
    told = {"NewImage": row, "ApproximateCreationDateTime": datetime.now(UTC)}
    record = {"eventID": "1", "eventName": "INSERT", "dynamodb": told}
    return stream_event("arn:aws:dynamodb:us-east-1:000000000000:table/x/stream/y", "us-east-1", [record])


# ---- the tables ------------------------------------------------------------------------------------------------------


def units_table(counted: Counted) -> str:
    """Write units by place and step."""
    steps = (START, TAKE, COMPLETE)
    found = list(dict.fromkeys(place for use in counted.uses if use.step in steps for place, _ in places(use)))
    shown = [place for place in found if place not in (EVENT, COUNTERS) and counted.units(*steps, where=place)]
    rows = [_row_of_units(counted, place, steps) for place in shown]
    sums = [sum(counted.units(step, where=place) for place in shown) for step in steps]
    rows.append(("**sum**", *(f"**{units}**" for units in [*sums, sum(sums)])))
    return markdown.table(["write units", *steps, "sum"], rows, numbers=(*steps, "sum"))


def _row_of_units(counted: Counted, place: str, steps: tuple[str, ...]) -> tuple[str, ...]:
    units = [counted.units(step, where=place) for step in steps]
    return (place, *(str(one) if one else "" for one in units), str(sum(units)))


def write_units(counted: Counted) -> int:
    """Of the upload itself, without its events and without rate counters."""
    steps = (START, TAKE, COMPLETE)
    return counted.units(*steps) - counted.units(*steps, where=EVENT) - counted.units(*steps, where=COUNTERS)


#: DynamoDB takes so many write units a second for one item, and for one partition key (AWS: "Best practices for
#: designing and using partition keys effectively").
MOST_UNITS_OF_A_KEY = 1000
#: Over how many partition keys the writes of one organisation go. The rows of files and of the organisation have one.
_SPREAD = {"index `unfinished`": keys.UNFINISHED_SHARDS, EVENT: keys.OUTBOX_SHARDS}


def rates_table(counted: Counted) -> str:
    """How many uploads a second of one organisation each place takes. Of an index, as if its keys were one."""
    steps = (START, TAKE, COMPLETE)
    found = dict.fromkeys(place for use in counted.uses if use.step in steps for place, _ in places(use))
    rows = []
    for place in found:
        units, spread = counted.units(*steps, where=place), _SPREAD.get(place, 1)
        if units and place != COUNTERS:
            rows.append((MOST_UNITS_OF_A_KEY * spread // units, place, units, spread))
    shown = [(place, units, spread, f"{rate:,}") for rate, place, units, spread in sorted(rows)]
    return markdown.table(_RATES, shown, numbers=_RATES[1:])


_RATES = ("what is written", "units an upload", "keys", "uploads a second")


@dataclass(frozen=True)
class Line:
    """A line of the bill. ``dollars`` are for a million uploads."""

    part: str
    amount: str
    dollars: float


def lines(counted: Counted, way: str, cpu_ms: Mapping[str, float]) -> tuple[list[Line], list[Line]]:
    """The upload itself; and what its events and rate counters cost besides.

    :param cpu_ms: by step, on one processor.
    """
    sent_by_client = 1 if way != WAYS[0] else 0
    s3_writes, s3_reads = counted.number_of(_S3_WRITES) + sent_by_client, counted.number_of(_S3_READS)
    requests = 1 + LOOKS
    own_units, kilobytes = write_units(counted), _log_kilobytes(counted, (START, TAKE, COMPLETE, LOOK), requests)
    reads = counted.read_units()
    upload = [
        Line("API Gateway", f"{requests} requests", requests * prices.GATEWAY_REQUEST),
        Line("Lambda, starts", f"{requests + 1}", (requests + 1) * prices.LAMBDA_START),
        _time("Lambda, API", counted, (START, LOOK), cpu_ms),
        _time("Lambda, processing", counted, (TAKE, COMPLETE), cpu_ms),
        Line("S3, writes", f"{s3_writes}", s3_writes * prices.S3_WRITE),
        Line("S3, reads", f"{s3_reads}", s3_reads * prices.S3_READ),
        Line("SQS", f"{SQS_REQUESTS} requests", SQS_REQUESTS * prices.SQS_REQUEST),
        Line("DynamoDB, writes", f"{own_units} units", own_units * prices.DYNAMODB_WRITE_UNIT),
        Line("DynamoDB, reads", f"{reads:g} units", reads * prices.DYNAMODB_READ_UNIT),
        Line("logs", f"{kilobytes:.1f} kB", kilobytes * prices.LOGS_KILOBYTE),
    ]
    every = (START, TAKE, COMPLETE, LOOK, PUBLISHING)
    told = counted.units(*every, where=EVENT) + counted.units(*every, where=FEED)
    counts = counted.units(*every, where=COUNTERS)
    published = sum(use.table == "event-outbox" for use in counted.uses if use.item_units)
    publishing = _time("publishing them", counted, (PUBLISHING,), cpu_ms)
    publishing_logs = _log_kilobytes(counted, (PUBLISHING,), 0, published)
    besides = [
        Line("events", f"{told} write units", told * prices.DYNAMODB_WRITE_UNIT),
        Line(
            publishing.part,
            f"{published} starts, {publishing.amount}, {publishing_logs:.1f} kB of logs",
            published * prices.LAMBDA_START + publishing.dollars + publishing_logs * prices.LOGS_KILOBYTE,
        ),
        Line("rate counters in DynamoDB", f"{counts} write units", counts * prices.DYNAMODB_WRITE_UNIT),
    ]
    return upload, besides


def _time(part: str, counted: Counted, steps: tuple[str, ...], cpu_ms: Mapping[str, float]) -> Line:
    """CPU, longer where the function has a share of a processor, and the waits for AWS's answers."""
    memory = _RUNS_IN[steps[0]].memory_mb
    share = min(1.0, memory / prices.MEMORY_OF_ONE_PROCESSOR_MB)
    waits = sum(_wait(call) for step, call in counted.calls if step in steps)
    milliseconds = round(sum(cpu_ms[step] for step in steps) / share + waits)
    gigabyte_seconds = milliseconds / 1000 * memory / 1024
    return Line(part, f"{milliseconds} ms of {memory / 1024:.2f} GB", gigabyte_seconds * prices.LAMBDA_GB_SECOND)


def _wait(call: str) -> int:
    if call.startswith("s3."):
        return prices.WAIT_FOR_S3
    return prices.WAIT_FOR_TRANSACTION if "Transact" in call else prices.WAIT_FOR_DYNAMODB


def _log_kilobytes(counted: Counted, steps: tuple[str, ...], requests: int, invocations: int | None = None) -> float:
    own = sum(counted.log_lines[step] for step in steps) * prices.LOG_LINE_BYTES
    starts = requests + 1 if invocations is None else invocations
    return (own + requests * prices.ACCESS_LINE_BYTES + starts * prices.INVOCATION_LINES_BYTES) / 1000


def bill_table(counted: Mapping[str, Counted], cpu_ms: Mapping[str, Mapping[str, float]]) -> str:
    by_way = {way: lines(counted[way], way, cpu_ms[way]) for way in WAYS}
    rows: list[tuple[str, ...]] = []
    for group, title in enumerate(("**sum**", "**all in all**")):
        for same in zip(*(by_way[way][group] for way in WAYS), strict=True):
            rows.append((same[0].part, *(text for line in same for text in (line.amount, _dollars(line.dollars)))))
        sums = [sum(line.dollars for part in by_way[way][: group + 1] for line in part) for way in WAYS]
        rows.append((title, *(text for total in sums for text in ("", f"**{_dollars(total)}**"))))
    headings = ["part", *(heading for way in WAYS for heading in (way, "a million"))]
    return markdown.table(headings, rows, numbers=("a million",))


def _dollars(amount: float) -> str:
    return f"${amount:.2f}"


def tables(counted: Mapping[str, Counted], cpu_ms: Mapping[str, Mapping[str, float]]) -> str:
    """As docs/operations.md shows them."""
    return (
        f"{bill_table(counted, cpu_ms)}\n\nThe write units {WAYS[0]}:\n\n{units_table(counted[WAYS[0]])}\n\n"
        f"And {WAYS[1]}:\n\n{units_table(counted[WAYS[1]])}\n\n"
        f"What one organisation can send a second, {WAYS[0]}:\n\n{rates_table(counted[WAYS[0]])}"
    )


def rendered(page: str, written: str) -> str:
    """The page with these tables in it.

    :raises ValueError: it lacks the comments around them.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page lacks the comments around the bill")
    return f"{before}{BEGIN}\n{written}\n{END}{after}"


def read_measured() -> dict[str, dict[str, float]]:
    """Milliseconds of CPU by way and step, as last measured."""
    found: dict[str, dict[str, float]] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found


# ---- measuring -------------------------------------------------------------------------------------------------------


def measure(*, quick: bool) -> dict[str, Any]:
    """Counts and measures on the emulator, prints the bill, and writes it into the page unless it is a quick run."""
    with _as_deployed():
        with redirect_stdout(io.StringIO()):
            place = _signed_in_place()
        counted = {way: count(place, way) for way in WAYS}
        cpu_ms = {way: _cpu_ms(place, way, 3 if quick else REPEATS) for way in WAYS}
    print(tables(counted, cpu_ms))
    if not quick:
        MEASURED.write_text(json.dumps(cpu_ms, indent=2) + "\n", encoding="utf-8")
        PAGE.write_text(rendered(PAGE.read_text(encoding="utf-8"), tables(counted, cpu_ms)), encoding="utf-8")
    found: dict[str, Any] = {}
    for way in WAYS:
        upload, besides = lines(counted[way], way, cpu_ms[way])
        found[way] = {
            "write_units": write_units(counted[way]),
            "dollars_a_million": round(sum(line.dollars for line in upload), 2),
            "with_events_and_counters": round(sum(line.dollars for line in [*upload, *besides]), 2),
        }
    return found


@contextmanager
def _as_deployed() -> Iterator[None]:
    """Rate counters in DynamoDB and logs in JSON, as the stack has them by default."""
    from chalicelib import wiring
    from chalicelib.kernel import config

    def anew() -> None:
        config.settings.cache_clear()
        wiring.install(wiring.Stores(config.settings()))

    before = dict(os.environ)
    os.environ.update(RATE_COUNTERS="table", LOG_FORMAT="json", LOG_LEVEL="INFO")
    os.environ.pop("CACHE_URL", None)
    try:
        anew()
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        anew()


def _cpu_ms(place: Place, way: str, repeats: int) -> dict[str, float]:
    """Medians, on one processor. Nothing is counted meanwhile: counting takes time itself."""
    taken = [_timed(place, way) for _ in range(repeats)]
    return {step: round(statistics.median(one[step] for one in taken) * 1000, 1) for step in taken[0]}


def _timed(place: Place, way: str) -> dict[str, float]:
    seconds: dict[str, float] = {}

    def step(name: str, act: Callable[[], Any]) -> Any:
        started = time.process_time()
        with redirect_stdout(io.StringIO()):
            answer = act()
        seconds[name] = seconds.get(name, 0.0) + time.process_time() - started
        return answer

    _play(place, way, step)
    # Processing is one invocation, with both steps.
    return {**seconds, COMPLETE: 0.0}


def _signed_in_place() -> Place:
    """On the emulator."""
    import boto3
    from botocore.config import Config
    from chalice.test import Client

    import app
    from chalicelib.accounts import users as accounts
    from chalicelib.tenants import organizations as tenants
    from chalicelib.wiring import stores
    from tests.aws_calls import listen_to_all_clients

    listen_to_all_clients()
    organization = tenants.create_organization(stores(), "Benchmark of the bill")
    accounts.create_user(stores(), organization.organization_id, "bill", "benchmark password")
    client = Client(app.app)
    body = json.dumps({"username": "bill", "password": "benchmark password", "token": True}).encode()
    login = client.http.post("/auth/login", headers={"Content-Type": "application/json"}, body=body)
    headers = {"Authorization": f"Bearer {json.loads(login.body)['token']}"}
    s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
    put = partial(_put, s3)
    return Place(client, headers, organization.organization_id, put, boto3.client("dynamodb"))


def _put(s3: Any, key: str, body: bytes) -> None:
    s3.put_object(Bucket=os.environ["TEMP_BUCKET"], Key=key, Body=body)
