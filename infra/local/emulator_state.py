"""MiniStack's state, kept while it runs: it writes its state down on a clean stop only, so a kill loses all since then.

Run by the emulator's own Python. Three kinds of state are kept in three ways:

- Rows, records of streams and messages change with every request: each change is a line of a journal, written before
  the request is answered, and read back at the next start.
- Definitions, which are all else (tables, queues, buckets, users, the stack), change when somebody deploys. They are
  saved as MiniStack saves them on a stop, before the first data that is written after a request that may have changed
  them.
- Objects are files already. Uploads in parts are made so by emulator_objects.

What it changes of MiniStack are the few functions through which all such changes go; tests/integration/test_kill.py
fails when an update has other ones.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from infra.local.emulator_journal import Journal

#: A longer journal is folded into a snapshot at the next start. Reading takes a second per 50 MB or so.
MAX_JOURNAL_BYTES = 64 * 1024 * 1024
#: By so much the time of a file may be behind the clock.
_CLOCK_GRAIN_NANOSECONDS = 50_000_000
#: Requests of these do not change definitions, however often they come.
_DATA_OPERATIONS = re.compile(
    r"DynamoDBStreams_\d+\.\w+"
    r"|DynamoDB_\d+\.(?:(?:Batch|Transact)?(?:Get|Write)Items?|(?:Put|Update|Delete)Item|Query|Scan|(?:Describe|List)\w+"
    r"|(?:Batch)?Execute\w+)"
    r"|AmazonSQS\.(?:(?:Send|Delete)Message(?:Batch)?|ReceiveMessage|ChangeMessageVisibility(?:Batch)?|Get\w+|List\w+)"
)
_OBJECT_PATH = re.compile(r"/[^/]+/.+", re.DOTALL)
_INVOCATION_PATH = re.compile(r"/restapis/[^/]+/[^/]+/_user_request_|/2015-03-31/functions/[^/]+/invocations")
#: Of a table: everything but these is its definition.
_NOT_DEFINITION = frozenset({"items", "_index_members"})
_TABLE_STORES = (
    "tags",
    "ttl_settings",
    "pitr_settings",
    "kinesis_destinations",
    "contributor_insights",
    "backups",
    "resource_policies",
    "exports",
    "imports",
)


def changes_definitions(method: str, path: str, headers: Sequence[tuple[str, str]]) -> bool:
    """Whether a request may; rather too often than not."""
    found = dict(headers)
    target = found.get("x-amz-target", "")
    if target:
        return _DATA_OPERATIONS.fullmatch(target) is None
    if path.startswith("/_ministack/health") or _INVOCATION_PATH.match(path):
        return False
    if "/s3/" in found.get("authorization", ""):
        return method not in ("GET", "HEAD") and _OBJECT_PATH.fullmatch(path) is None
    # Presigned requests and forms concern objects; the rest are the services that take forms of parameters.
    return "authorization" in found


class Rows:
    """The rows and streams of MiniStack's DynamoDB."""

    def __init__(self, dynamodb: Any, persistence: Any) -> None:
        self._dynamodb = dynamodb
        self._persistence = persistence
        #: As JSON at once: the emulator may go on to change an item that it has stored.
        self._changes: list[str] = []
        self._set_item, self._remove_item = dynamodb._set_item, dynamodb._remove_item
        self._items_replaced, self._emit = dynamodb._items_replaced, dynamodb._emit_stream_event
        dynamodb._set_item, dynamodb._remove_item = self._on_set, self._on_remove
        dynamodb._items_replaced, dynamodb._emit_stream_event = self._on_replaced, self._on_emit
        # It copies every row before it is written down; nothing changes rows meanwhile.
        dynamodb.get_state = lambda: self._state(with_rows=True)

    def take_changes(self) -> list[str]:
        taken, self._changes = self._changes, []
        return taken

    def definitions(self) -> str:
        return self._entry("tables", self._state(with_rows=False))

    def stream_records(self) -> Iterator[list[str]]:
        """All that can still be read: MiniStack keeps none of them in its snapshot."""
        for scope, records in self._dynamodb._stream_records.all_items():
            for record in records:
                yield [self._entry("record", scope, record)]

    def replay(self, kind: str, *values: Any) -> None:
        getattr(self, f"_replay_{kind}")(*values)

    def _on_set(self, table: dict[str, Any], partition: Any, sort: Any, item: dict[str, Any]) -> Any:
        self._note("row", table["TableArn"], partition, sort, item)
        return self._set_item(table, partition, sort, item)

    def _on_remove(self, table: dict[str, Any], partition: Any, sort: Any) -> Any:
        self._note("row", table["TableArn"], partition, sort, None)
        return self._remove_item(table, partition, sort)

    def _on_replaced(self, table: dict[str, Any]) -> None:
        self._items_replaced(table)
        self._note("rows", table["TableArn"], table["items"])

    def _on_emit(self, table_name: str, *values: Any, **named: Any) -> None:
        def last() -> Any:
            records = self._dynamodb._stream_records.get(table_name)
            return records[-1] if records else None

        before = last()
        self._emit(table_name, *values, **named)
        record = last()
        if record is not None and record is not before:
            _, _, _, region, account, _ = record["eventSourceARN"].split(":", 5)
            self._note("record", (account, region, table_name), record)

    def _note(self, *entry: Any) -> None:
        self._changes.append(self._entry(*entry))

    def _entry(self, *entry: Any) -> str:
        return json.dumps(entry, default=self._persistence._json_default, separators=(",", ":"))

    def _state(self, *, with_rows: bool) -> dict[str, Any]:
        tables = type(self._dynamodb._tables)()
        for scope, table in self._dynamodb._tables.all_items():
            kept = {name: value for name, value in table.items() if name not in _NOT_DEFINITION}
            tables.set_scoped(*scope, {**kept, "items": table["items"] if with_rows else {}})
        return {"tables": tables, **{name: getattr(self._dynamodb, f"_{name}") for name in _TABLE_STORES}}

    def _find(self, arn: str) -> dict[str, Any] | None:
        _, _, _, region, account, resource = arn.split(":", 5)
        table: dict[str, Any] | None = self._dynamodb._tables.get_scoped(account, region, resource.partition("/")[2])
        return table

    def _replay_row(self, arn: str, partition: Any, sort: Any, item: dict[str, Any] | None) -> None:
        table = self._find(arn)
        if table is None:
            return
        if item is None:
            self._remove_item(table, partition, sort)
        else:
            self._set_item(table, partition, sort, item)

    def _replay_rows(self, arn: str, items: dict[str, Any]) -> None:
        table = self._find(arn)
        if table is not None:
            table["items"].clear()
            table["items"].update(items)
            self._items_replaced(table)

    def _replay_record(self, scope: list[str], record: dict[str, Any]) -> None:
        records = self._dynamodb._stream_records._data.setdefault(tuple(scope), [])
        number = record["dynamodb"]["SequenceNumber"]
        if not records or records[-1]["dynamodb"]["SequenceNumber"] < number:
            records.append(record)

    def _replay_tables(self, saved: Any) -> None:
        state = json.loads(json.dumps(saved), object_hook=self._persistence._json_object_hook)
        known, defined = self._dynamodb._tables._data, state["tables"]._data
        for scope in known.keys() - defined.keys():
            del known[scope]
        for scope, definition in defined.items():
            before = known.get(scope)
            if before is not None and before.get("TableId") == definition.get("TableId"):
                definition["items"] = before["items"]
        self._dynamodb._restore_state(state)
        for table in known.values():
            self._items_replaced(table)


class Messages:
    """The messages of MiniStack's SQS, which changes them in many places: so they are compared after each request."""

    def __init__(self, sqs: Any) -> None:
        self._sqs = sqs
        self._touched: dict[str, dict[str, Any]] = {}
        #: Queue -> message -> what was written of it.
        self._written: dict[str, dict[str, tuple[Any, ...]]] = {}
        for name in ("_get_q", "_queue_by_arn"):
            setattr(sqs, name, self._noting_result(getattr(sqs, name)))
        self._collect = sqs._collect_msgs
        sqs._collect_msgs = self._on_collect

    def take_changes(self) -> list[str]:
        touched, self._touched = self._touched, {}
        return [json.dumps(entry) for arn, queue in touched.items() for entry in self._changes_of(arn, queue)]

    def replay(self, kind: str, arn: str, message_id: str, message: dict[str, Any] | None = None) -> None:
        queue = self._sqs._queue_by_arn(arn)
        if queue is None:
            return
        found = next((one for one in queue["messages"] if one["id"] == message_id), None)
        if message is None:
            queue["messages"] = [one for one in queue["messages"] if one is not found]
        elif found is None:
            queue["messages"].append(message)
        else:
            found.update(message)

    def begin(self) -> None:
        """What is there now is in the snapshot or the journal."""
        self._touched.clear()
        for (_, _, _), queue in self._sqs._queues.all_items():
            list(self._changes_of(queue["attributes"]["QueueArn"], queue))

    def _noting_result(self, find: Callable[..., Any]) -> Callable[..., Any]:
        def found(*values: Any, **named: Any) -> Any:
            queue = find(*values, **named)
            self._touch(queue)
            return queue

        return found

    def _on_collect(self, queue: dict[str, Any], *values: Any) -> Any:
        # A long poll gets its messages long after it has looked up the queue.
        self._touch(queue)
        return self._collect(queue, *values)

    def _touch(self, queue: dict[str, Any] | None) -> None:
        if queue is not None:
            self._touched[queue["attributes"]["QueueArn"]] = queue

    def _changes_of(self, arn: str, queue: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
        written, now = self._written.get(arn, {}), {}
        for message in queue["messages"]:
            key, told = message["id"], (message["receive_count"], message["visible_at"], message["receipt_handle"])
            now[key] = told
            before = written.get(key)
            if before is None:
                yield "message", arn, key, message
            elif before != told:
                names = ("receive_count", "visible_at", "receipt_handle", "first_receive_at")
                yield "message", arn, key, {name: message[name] for name in names}
        for key in written.keys() - now.keys():
            yield "message", arn, key
        self._written[arn] = now


class State:
    """:param ministack: its module `app`, whose saving and loading this is part of from now on."""

    def __init__(self, ministack: Any, folder: Path, objects: Any) -> None:
        from ministack.core import persistence
        from ministack.services import dynamodb, sqs

        self._ministack = ministack
        self._persistence = persistence
        self._folder = folder
        self._objects = objects
        self._rows, self._messages = Rows(dynamodb, persistence), Messages(sqs)
        self._journal = Journal(folder / "journal.jsonl")
        self._definitions_may_differ = True
        self._load, self._save_all = ministack._load_persisted_state, ministack.save_all
        ministack._load_persisted_state, ministack.save_all = self.load, self.save

    def note_request(self, method: str, path: str, headers: Sequence[tuple[str, str]]) -> None:
        if changes_definitions(method, path, headers):
            self._definitions_may_differ = True

    def keep(self) -> None:
        """Before a request is answered: what it has changed is in a file when this returns."""
        self._objects.forget_ended()
        changes = self._rows.take_changes() + self._messages.take_changes()
        if not changes:
            return
        if self._definitions_may_differ:
            self._save_definitions()
        self._journal.write(changes)

    def load(self) -> None:
        """The snapshot, then what came after it."""
        self._load()
        for batch in self._journal.read():
            for kind, *values in batch:
                (self._messages if kind == "message" else self._rows).replay(kind, *values)
        self._messages.begin()
        self._rows.take_changes()
        if self._journal.size_bytes > MAX_JOURNAL_BYTES:
            self.save(self._ministack._build_persistence_save_dict())

    def save(self, services: dict[str, Callable[[], Any]]) -> None:
        """A snapshot of everything. The journal begins anew when it was written."""
        began = time.time_ns()
        self._save_all(services)
        written = [self._folder / f"{name}.json" for name in ("dynamodb", "sqs")]
        # MiniStack reports a full disk in its log only.
        if all(file.exists() and file.stat().st_mtime_ns > began - _CLOCK_GRAIN_NANOSECONDS for file in written):
            self._journal.replace(self._rows.stream_records())

    def _save_definitions(self) -> None:
        services = self._ministack._build_persistence_save_dict()
        self._save_all({name: state for name, state in services.items() if name != "dynamodb"})
        self._journal.write([self._rows.definitions()])
        self._definitions_may_differ = False
