"""Runs the functions that a queue, a stream or a schedule triggers, on one machine: Lambda's side of them.

Which there are is said by infra/functions.py, and what triggers them in detail by the decorators in app.py.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import DynamoDBEventConfig, Rate, ScheduledEventConfig, SQSEventConfig

from infra.functions import Function, by_handler
from infra.local.checkpoints import Checkpoints
from infra.local.lambda_events import LambdaContext, stream_event
from infra.local.queue_reader import OUTAGE_PAUSE_SECONDS, READ_TIMEOUT_SECONDS, QueueReader

ROOT = Path(__file__).resolve().parents[2]
#: Between two looks at a stream that had nothing; Lambda looks four times a second.
STREAM_POLL_SECONDS = 0.1
#: What was missed while everything was off is found soon after the start.
FIRST_RUN_SECONDS = 5.0
_SECONDS_OF_UNIT = {Rate.MINUTES: 60, Rate.HOURS: 3600, Rate.DAYS: 24 * 3600}

_log = logging.getLogger("consumer")


class StreamReader:
    """Lambda's side of a table's stream: one shard after the other would do, and the emulator has one."""

    def __init__(self, table: str, handler: Any, function: Function, batch_size: int, checkpoints: Checkpoints) -> None:
        self._table = table
        self._checkpoints = checkpoints
        self._handler = handler
        self._function = function
        self._batch_size = batch_size
        config = Config(connect_timeout=2, read_timeout=READ_TIMEOUT_SECONDS, retries={"total_max_attempts": 1})
        self._streams: Any = boto3.client("dynamodbstreams", config=config)
        self._region = self._streams.meta.region_name
        self._stream_arn = ""
        #: Shard -> where to go on. A batch that failed is read again from its own iterator.
        self._iterators: dict[str, str] = {}
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Read until stopped. An outage of the stream is waited out; a batch that fails comes again."""
        away = False
        while not self._stopping.is_set():
            try:
                if not self.read_once():
                    self._stopping.wait(STREAM_POLL_SECONDS)
                away = False
            except (ClientError, BotoCoreError) as error:
                if not away:
                    _log.warning(
                        "The stream is away (%s); trying again every %s s", type(error).__name__, OUTAGE_PAUSE_SECONDS
                    )
                away = True
                # Iterators end after a quarter of an hour, and with the emulator.
                self._iterators.clear()
                self._stopping.wait(OUTAGE_PAUSE_SECONDS)
            except Exception:
                _log.exception("A batch of the stream failed; it comes again")
                self._stopping.wait(OUTAGE_PAUSE_SECONDS)

    def read_once(self) -> int:
        """Have one batch of each shard handled. Returns how many records there were."""
        if not self._iterators:
            self._find_shards()
        total = 0
        for shard, iterator in list(self._iterators.items()):
            answer = self._streams.get_records(ShardIterator=iterator, Limit=self._batch_size)
            records = answer["Records"]
            if records:
                event = stream_event(self._stream_arn, self._region, records)
                self._handler(event, LambdaContext(records[0]["eventID"], self._function))
                self._checkpoints.move(shard, records[-1]["dynamodb"]["SequenceNumber"])
            self._iterators[shard] = answer["NextShardIterator"]
            total += len(records)
        return total

    def _find_shards(self) -> None:
        [stream] = self._streams.list_streams(TableName=self._table)["Streams"]
        self._stream_arn = stream["StreamArn"]
        shards = self._streams.describe_stream(StreamArn=self._stream_arn)["StreamDescription"]["Shards"]
        for shard in shards:
            self._iterators[shard["ShardId"]] = self._iterator(shard["ShardId"])

    def _iterator(self, shard: str) -> str:
        names = {"StreamArn": self._stream_arn, "ShardId": shard}
        handled = self._checkpoints.find(shard)
        if handled is not None:
            with suppress(self._streams.exceptions.TrimmedDataAccessException):
                # Of a record that the stream still has; a new emulator has none of them.
                after = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": handled}
                return str(self._streams.get_shard_iterator(**names, **after)["ShardIterator"])
        # From the oldest record on: what was handled before is handled again, and comes to nothing.
        return str(self._streams.get_shard_iterator(**names, ShardIteratorType="TRIM_HORIZON")["ShardIterator"])


def run_by_schedule(stopping: threading.Event, handler: Any, function: Function, seconds: float) -> None:
    """Call a scheduled function as EventBridge does, and once at the start: a laptop is not always on."""
    wait = FIRST_RUN_SECONDS
    while not stopping.wait(min(wait, seconds)):
        wait = seconds
        event = {
            "version": "0", "id": str(time.time_ns()), "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "000000000000", "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "region": "us-east-1", "resources": [f"arn:aws:events:us-east-1:000000000000:rule/{function.name}"],
            "detail": {},
        }  # fmt: skip
        try:
            handler(event, LambdaContext(function.handler, function))
        except Exception:
            _log.exception("%s failed; it runs again", function.name)


def interval_seconds(source: ScheduledEventConfig, function: Function) -> float:
    """How often it runs: as <NAME>_INTERVAL_SECONDS says, such as SWEEP_INTERVAL_SECONDS, else as on AWS."""
    given = os.environ.get(f"{function.name.upper()}_INTERVAL_SECONDS")
    if given:
        return float(given)
    rate = source.schedule_expression
    if not isinstance(rate, Rate):
        raise TypeError(f"{function.handler} has no rate; the local stack knows no other schedule")
    return rate.value * _SECONDS_OF_UNIT[rate.unit]


def main() -> None:
    sys.path.insert(0, str(ROOT))
    import app
    from chalicelib.kernel import logs
    from chalicelib.kernel.config import settings

    logs.configure(settings())
    stopping = threading.Event()
    file = os.environ.get("STREAM_CHECKPOINTS")
    checkpoints = Checkpoints(Path(file) if file else None)
    consumers: list[QueueReader | StreamReader] = []
    threads: list[threading.Thread] = []
    for source in app.app.event_sources:
        function, handler = by_handler(source.name), getattr(app, source.handler_string.rpartition(".")[2])
        if function.queue is not None and isinstance(source, SQSEventConfig):
            url = getattr(settings(), function.queue.setting)
            consumers.append(QueueReader(url, handler, function, source.batch_size))
            threads.append(threading.Thread(target=consumers[-1].run))
        elif function.stream is not None and isinstance(source, DynamoDBEventConfig):
            table = f"{settings().table_prefix}-{function.stream}"
            consumers.append(StreamReader(table, handler, function, source.batch_size, checkpoints))
            threads.append(threading.Thread(target=consumers[-1].run))
        elif isinstance(source, ScheduledEventConfig):
            every = interval_seconds(source, function)
            arguments = (stopping, handler, function, every)
            threads.append(threading.Thread(target=run_by_schedule, args=arguments, daemon=True))

    def stop(_: int, __: FrameType | None) -> None:
        stopping.set()
        for consumer in consumers:
            consumer.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    for thread in threads:
        thread.start()
    for thread in threads:
        if not thread.daemon:
            thread.join()


if __name__ == "__main__":
    main()
