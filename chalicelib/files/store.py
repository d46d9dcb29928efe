"""The files table. One rule keeps it right: every change of a file is :meth:`FileStore.replace`.

``replace(before, after)`` writes the row on the condition that it is still ``before``, and moves the organisation's
counters and quota by the difference of the two, in the same transaction. So counters can't drift from rows, and two
writers can't both win, whatever crashes, repeats or overtakes. The event that tells of the change is in it too.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from pynamodb.exceptions import DoesNotExist, TransactGetError, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactGet, TransactWrite

from chalicelib import keys
from chalicelib.events.outbox_store import Outbox
from chalicelib.events.records import Event
from chalicelib.files.counters_store import (
    PROCESSING,
    CounterChange,
    check_policy,
    difference_of,
    has_no_room,
    refusal_of,
)
from chalicelib.files.event_records import event_of, event_of_deletion, event_of_restoration
from chalicelib.files.open_uploads_store import OpenUploadsStore, Room
from chalicelib.files.record import File, RemovedFile
from chalicelib.files.rows import FileRow
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import VersionConflict
from chalicelib.platform.columns import reader_of
from chalicelib.platform.tables import Query, Tables, contention_on_condition, failed_conditions
from chalicelib.tenants.organization import Organization
from chalicelib.tenants.rows import OrganizationRow
from chalicelib.tenants.store import OrganizationStore, to_organization

#: An operator may change the quota between two tries; not many times.
MAX_QUOTA_LOOKUPS = 3
_read_file = reader_of(File)
_FILE_FIELDS = [f.name for f in fields(File)]
_NUMBERS = {f.name for f in fields(File) if f.type in (int, "int", int | None)}


class FileStore:
    """Every method takes the organisation, or a file that carries it, first."""

    def __init__(self, tables: Tables, open_uploads: OpenUploadsStore) -> None:
        self._tables = tables
        self._files = tables.bind(FileRow)
        self._organizations = tables.bind(OrganizationRow)
        self._open_uploads = open_uploads
        self._outbox = Outbox(tables)
        #: The quotas that this process last met, by organisation; conditions notice when one has changed.
        self._known_quotas: dict[str, int] = {}

    def find(self, organization_id: str, file_id: str) -> File | None:
        item = self._tables.find_item(self._files, organization_id, file_id)
        return _read_file(item) if item is not None else None

    def find_with_organization(self, organization_id: str, file_id: str) -> tuple[File | None, Organization | None]:
        """Both in one consistent call; in two calls while another transaction holds the organisation's counters."""
        try:
            with TransactGet(connection=self._tables.connection) as transaction:
                file_row = transaction.get(self._files, organization_id, file_id)
                organization_row = transaction.get(self._organizations, organization_id)
        except TransactGetError:
            # A writing transaction cancels a reading one; plain reads are never cancelled.
            return self.find(organization_id, file_id), OrganizationStore(self._tables).find(organization_id)
        file: File | None
        organization: Organization | None
        try:
            file = _to_file(file_row.get())
        except DoesNotExist:
            file = None
        try:
            organization = to_organization(organization_row.get())
        except DoesNotExist:
            organization = None
        return file, organization

    def create(self, file: File) -> File:
        """Nothing is written when it is refused.

        :raises TooLarge: the organisation's policy takes no file of this size.
        :raises QuotaExceeded: the organisation has no room for it.
        """
        try:
            return self._write(None, file)
        except VersionConflict:
            # The id is new, so the existing row is this very write: the client repeated it after a lost answer.
            found = self.find(file.organization_id, file.file_id)
            if found is None:
                raise
            return found

    def replace(self, before: File, after: File, *, most_at_once: int | None = None) -> File:
        """Change a file that is still as read.

        :param most_at_once: how many files of the organisation may be in processing, or if this one is completed be
            hashed, this one included.
        :raises VersionConflict: it is not, or it is gone.
        :raises QuotaExceeded: it takes more room than before, and the organisation has none.
        :raises TooManyAtOnce: it is to be processed, or hashed, and so many are already.
        """
        return self._write(before, after, most_at_once)

    def restore(self, file: File, occasion: str) -> None:
        """Write a deleted file again, as it was.

        :raises VersionConflict: there is one of this id.
        :raises QuotaExceeded: the organisation has no room for it.
        """
        written = replace(file, version=file.version + 1, touched_at=timestamp(), listed_as_open=False)
        row, absent = _to_row(self._files, written), FileRow.file_id.does_not_exist()
        self._put(row, absent, difference_of(None, written), event_of_restoration(written, occasion))

    def remove(self, file: File) -> RemovedFile:
        """Delete the row and write a note of the objects that are still to be deleted.

        :raises VersionConflict: the file is not as read.
        """
        partition = keys.removed_partition(file.organization_id)
        note = _to_row(self._files, replace(file, touched_at=timestamp()))
        note.organization_id = partition
        note.status_key = note.mime_key = None
        note.unfinished_shard = keys.unfinished_shard(file.file_id)

        def fill(transaction: TransactWrite) -> None:
            transaction.delete(
                self._files(file.organization_id, file.file_id),
                condition=FileRow.version == file.version,
                add_version_condition=False,
            )
            transaction.save(note)
            self._outbox.add(transaction, event_of_deletion(file))
            self._move_counters(transaction, file.organization_id, difference_of(file, None))

        with contention_on_condition():
            self._tables.transact(fill)
        return RemovedFile(file=file, partition=partition)

    def forget(self, removed: RemovedFile) -> None:
        """Delete the note, once the objects are deleted."""
        self._files(removed.partition, removed.file.file_id).delete(add_version_condition=False)

    def page(
        self,
        organization_id: str,
        status: str | None,
        mime_type: str | None,
        before_id: str | None,
        limit: int,
        skip: int = 0,
    ) -> list[File]:
        """At most ``limit`` files, newest first, from the one that was created before ``before_id`` on.

        :param skip: leave out so many first, which DynamoDB reads, and bills, all the same.
        """
        if mime_type and status not in (None, "completed"):
            return []
        query = _query(self._files, organization_id, status, mime_type, before_id)
        return [_read_file(item) for item in self._tables.query_items(self._files, query, limit, skip)]

    def names(
        self, organization_id: str, status: str | None, mime_type: str | None, before_id: str | None, limit: int
    ) -> list[tuple[str, str]]:
        """Id and filename of at most ``limit`` files, in the order of :meth:`page`.

        DynamoDB reads, and bills, whole rows all the same, one call for each megabyte; but it sends, and we decode, two
        fields of thirty. Not strongly consistent, which halves the bill.
        """
        query = _query(self._files, organization_id, status, mime_type, before_id)
        query = replace(query, only=("file_id", "filename"), consistent=False)
        return [
            (row["file_id"]["S"], row["filename"]["S"]) for row in self._tables.query_items(self._files, query, limit)
        ]

    def find_many(self, organization_id: str, file_ids: list[str]) -> dict[str, File]:
        """Those that are there, by id. One consistent call for each hundred."""
        rows = self._files.batch_get([(organization_id, file_id) for file_id in file_ids], consistent_read=True)
        return {row.file_id: _to_file(row) for row in rows}

    def all_of(self, organization_id: str) -> Iterator[File]:
        """Every file of the organisation. Reads all rows; for operators."""
        return (_to_file(row) for row in self._files.query(organization_id, consistent_read=True))

    def removed_of(self, organization_id: str) -> Iterator[RemovedFile]:
        """Deleted files of the organisation whose objects may remain."""
        partition = keys.removed_partition(organization_id)
        for row in self._files.query(partition, consistent_read=True):
            yield RemovedFile(file=replace(_to_file(row), organization_id=organization_id), partition=partition)

    def unfinished(self, touched_before: str) -> Iterator[File | RemovedFile]:
        """Open files, and deleted files whose objects may remain."""
        for shard in keys.unfinished_shards():
            for key in self._files.unfinished.query(shard, FileRow.touched_at < touched_before):
                row = self._find_row(key.organization_id, key.file_id)
                if row is None or row.touched_at >= touched_before:
                    continue
                organization_id = keys.organization_of_removed(row.organization_id)
                if organization_id is None:
                    yield _to_file(row)
                else:
                    file = replace(_to_file(row), organization_id=organization_id)
                    yield RemovedFile(file=file, partition=row.organization_id)

    def _find_row(self, partition: str, file_id: str) -> FileRow | None:
        try:
            row: FileRow = self._files.get(partition, file_id, consistent_read=True)
            return row
        except DoesNotExist:
            return None

    def _write(self, before: File | None, after: File, most_at_once: int | None = None) -> File:
        written = replace(
            after,
            version=(before.version if before else 0) + 1,
            touched_at=timestamp(),
            listed_as_open=after.awaits_bytes,
        )
        row = _to_row(self._files, written)
        condition = FileRow.version == before.version if before else FileRow.file_id.does_not_exist()
        difference = replace(difference_of(before, written), most_at_once=most_at_once)
        try:
            self._put(row, condition, difference, event_of(before, written))
        except VersionConflict:
            # botocore repeats a write whose answer was lost; the repetition then fails on the row it has written.
            if self.find(after.organization_id, after.file_id) != written:
                raise
        return written

    def _put(self, row: FileRow, condition: Condition, difference: CounterChange, event: Event | None) -> None:
        if difference.is_empty:
            with contention_on_condition():
                if event is None:
                    row.save(condition=condition, add_version_condition=False)
                else:
                    self._tables.transact(lambda transaction: self._save_telling(transaction, row, condition, event))
            return

        change = difference.open_change
        if change is None or not change.takes_room:
            self._transact(row, condition, difference, event, None)
            return
        quota_bytes = self._known_quotas.get(row.organization_id)
        refused: dict[str, Any] | None = None
        met = 0
        for _ in range(MAX_QUOTA_LOOKUPS):
            refused = self._transact(row, condition, difference, event, self._open_uploads.room(change, quota_bytes))
            if refused is None:
                return
            met = self._quota_now(row.organization_id)
            if met == quota_bytes:
                break
            quota_bytes = self._known_quotas[row.organization_id] = met
        raise self._open_uploads.refusal(refused or {}, change, met)

    def _save_telling(
        self, transaction: TransactWrite, row: FileRow, condition: Condition, event: Event | None
    ) -> None:
        transaction.save(row, condition=condition)
        self._outbox.add(transaction, event)

    def _transact(
        self, row: FileRow, condition: Condition, difference: CounterChange, event: Event | None, room: Room | None
    ) -> dict[str, Any] | None:
        """
        :returns: None when it is done; the user's item when only the room for open uploads was missing.
        :raises VersionConflict: the row is not as read.
        :raises TooLarge: the organisation's policy takes no file of this size.
        :raises QuotaExceeded: the organisation has no room.
        """

        def fill(transaction: TransactWrite) -> None:
            # The row comes first of the puts, the counters first of the updates: DynamoDB reports refusals in the order
            # of the request, which PynamoDB makes checks, deletes, puts, updates.
            transaction.save(row, condition=condition)
            self._outbox.add(transaction, event)
            self._move_counters(transaction, row.organization_id, difference, room)

        counters_at = 1 if event is None else 2

        try:
            self._tables.transact(fill)
        except TransactWriteError as error:
            refused = failed_conditions(error)
            if 0 in refused:
                raise VersionConflict from error
            if counters_at in refused:
                check_policy(refused[counters_at], difference)
                if room is None or has_no_room(refused[counters_at], difference):
                    raise refusal_of(refused[counters_at], difference) from error
            if room is not None and refused:
                return refused.get(counters_at + 1, {})
            raise
        return None

    def _quota_now(self, organization_id: str) -> int:
        organization = OrganizationStore(self._tables).find(organization_id)
        return organization.quota_bytes if organization is not None else 0

    def _move_counters(
        self, transaction: TransactWrite, organization_id: str, difference: CounterChange, room: Room | None = None
    ) -> None:
        actions: list[Action] = [
            OrganizationRow.bytes_used.add(difference.reserved_bytes),
            OrganizationRow.bytes_available.add(-difference.reserved_bytes),
            OrganizationRow.files_used.add(difference.reserved_files),
            OrganizationRow.files_available.add(-difference.reserved_files),
            OrganizationRow.counter_changes.add(1),
        ]
        if difference.being_hashed:
            actions.append(OrganizationRow.being_hashed.add(difference.being_hashed))
        for key, change in difference.counts.items():
            if change:
                path = Path(["counts", key])
                actions.append(path.set((path | 0) + change))
        condition = OrganizationRow.organization_id.exists()
        if difference.reserved_bytes > 0:
            condition &= OrganizationRow.bytes_available >= difference.reserved_bytes
        if difference.reserved_files > 0:
            condition &= OrganizationRow.files_available >= difference.reserved_files
        if difference.announced_bytes is not None:
            most = OrganizationRow.max_file_bytes
            condition &= most.does_not_exist() | (most >= difference.announced_bytes)
        if difference.begins_processing:
            now_processing = Path(["counts", PROCESSING])
            condition &= now_processing.does_not_exist() | (now_processing < difference.most_at_once)
        if difference.begins_hashing:
            being_hashed = OrganizationRow.being_hashed
            condition &= being_hashed.does_not_exist() | (being_hashed < difference.most_at_once)
        if room is not None:
            condition &= OrganizationRow.quota_bytes >= room.least_quota_bytes
        transaction.update(
            self._organizations(organization_id), actions=actions, condition=condition, return_values="ALL_OLD"
        )
        if difference.open_change is not None:
            self._open_uploads.move(transaction, difference.open_change, room)


def _query(
    model: type[FileRow], organization_id: str, status: str | None, mime_type: str | None, before_id: str | None
) -> Query:
    older = (FileRow.file_id < before_id) if before_id else None
    if mime_type:
        # Whoever has a type is completed.
        return Query(keys.mime_partition(organization_id, mime_type), older, model.by_mime_type.Meta.index_name)
    if status:
        return Query(keys.status_partition(organization_id, status), older, model.by_status.Meta.index_name)
    return Query(organization_id, older)


def _to_row(model: type[FileRow], file: File) -> FileRow:
    row = model(**{name: getattr(file, name) for name in _FILE_FIELDS})
    row.status_key = keys.status_partition(file.organization_id, file.status)
    if file.mime_type and file.status == "completed":
        row.mime_key = keys.mime_partition(file.organization_id, file.mime_type)
    if file.is_unfinished:
        row.unfinished_shard = keys.unfinished_shard(file.file_id)
    return row


def _to_file(row: FileRow) -> File:
    values = {name: getattr(row, name) for name in _FILE_FIELDS}
    for name in _NUMBERS:
        if values[name] is not None:
            values[name] = int(values[name])
    return File(**values)
