"""Which direct uploads each user has open: one item a user, in the table of files.

What an open upload reserves of the quota, nobody else can use, though no byte may ever arrive. So one user may have
only so many open, and these may reserve only a share of the organisation's quota. The item moves in the transaction
that writes the row of the file (:mod:`chalicelib.files.store`), and the row says whether it is listed, so the two can't
drift.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition, size
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import keys
from chalicelib.files.record import File
from chalicelib.files.rows import FileRow, OpenUploadsRow
from chalicelib.kernel.errors import NotSignedIn, StrongroomError, TooMuchOpen
from chalicelib.platform.tables import Tables

#: So many ids fit a sentence.
IDS_IN_A_SENTENCE = 3


@dataclass(frozen=True)
class OpenUploads:
    """One user's open direct uploads, as listed."""

    file_ids: frozenset[str] = frozenset()
    bytes_open: int = 0


@dataclass(frozen=True)
class OpenChange:
    """What the change of one row means for its user's list. ``listed`` is 1 to add the file, -1 to take it off."""

    organization_id: str
    user_id: str
    file_id: str
    listed: int
    bytes_open: int
    #: False for a row that was open before there were lists: it is there already, so nothing is refused.
    is_limited: bool

    @property
    def takes_room(self) -> bool:
        return self.is_limited and (self.listed > 0 or self.bytes_open > 0)


@dataclass(frozen=True)
class Room:
    """Suffices for a change: the user's open bytes are at most this, and the quota is at least that.

    A condition of DynamoDB can neither multiply nor add, so the sum is made here.
    """

    most_bytes_open: int
    least_quota_bytes: int


class OpenUploadsStore:
    def __init__(self, tables: Tables, max_uploads: int, max_percent: int) -> None:
        # The table is known to the connection by the first model bound, which must be the one with the indexes.
        tables.bind(FileRow)
        self._rows = tables.bind(OpenUploadsRow)
        self._max_uploads = max_uploads
        self._max_percent = max_percent

    def find(self, organization_id: str, user_id: str) -> OpenUploads:
        try:
            row = self._rows.get(keys.open_uploads_partition(organization_id), user_id, consistent_read=True)
        except DoesNotExist:
            return OpenUploads()
        return _to_open_uploads(row)

    def all_of(self, organization_id: str) -> Iterator[tuple[str, OpenUploads]]:
        """``(user id, list)`` of every user who ever had one. For operators."""
        rows = self._rows.query(keys.open_uploads_partition(organization_id), consistent_read=True)
        return ((row.user_id, _to_open_uploads(row)) for row in rows)

    def set_closed(self, organization_id: str, user_id: str, closed: bool) -> None:
        """From when this returns, no upload of this user starts, whoever was let in before. Repeatable."""
        self._rows(keys.open_uploads_partition(organization_id), user_id).update(
            actions=[OpenUploadsRow.closed.set(closed)]
        )

    def forget(self, organization_id: str, user_id: str) -> None:
        """Delete the list of somebody who will never upload again. Repeatable."""
        self._rows(keys.open_uploads_partition(organization_id), user_id).delete()

    def room(self, change: OpenChange, quota_bytes: int | None) -> Room:
        """
        :param quota_bytes: as far as known. None: what suffices for a user with nothing open, as most start.
        """
        if quota_bytes is None:
            return Room(0, -(-change.bytes_open * 100 // self._max_percent))
        return Room(self._share(quota_bytes) - change.bytes_open, quota_bytes)

    def move(self, transaction: TransactWrite, change: OpenChange, room: Room | None) -> None:
        actions: list[Action] = [OpenUploadsRow.bytes_open.add(change.bytes_open)]
        if change.listed > 0:
            actions.append(OpenUploadsRow.file_ids.add({change.file_id}))
        elif change.listed < 0:
            actions.append(OpenUploadsRow.file_ids.delete({change.file_id}))
        transaction.update(
            self._rows(keys.open_uploads_partition(change.organization_id), change.user_id),
            actions=actions,
            condition=self._condition(change, room) if room is not None else None,
            return_values="ALL_OLD",
        )

    def set(self, transaction: TransactWrite, organization_id: str, lists: dict[str, OpenUploads]) -> None:
        """Replace lists, by user id, for a repair."""
        for user_id, listed in lists.items():
            file_ids = OpenUploadsRow.file_ids
            transaction.update(
                self._rows(keys.open_uploads_partition(organization_id), user_id),
                actions=[
                    file_ids.set(set(listed.file_ids)) if listed.file_ids else file_ids.remove(),
                    OpenUploadsRow.bytes_open.set(listed.bytes_open),
                ],
            )

    def refusal(self, item: dict[str, Any], change: OpenChange, quota_bytes: int) -> StrongroomError:
        """Why there is no room, from the user's item as the transaction met it."""
        if item.get("closed", {}).get("BOOL"):
            return NotSignedIn()
        file_ids = sorted(item.get("file_ids", {}).get("SS", []))
        if change.listed > 0 and len(file_ids) >= self._max_uploads:
            return TooMuchOpen(
                f"You have {len(file_ids)} uploads open and may have {self._max_uploads}. {_way_out(file_ids)}"
            )
        bytes_open = int(item.get("bytes_open", {}).get("N", 0))
        return TooMuchOpen(
            f"This upload needs {change.bytes_open} bytes and your open uploads reserve {bytes_open}; together they may"
            f" reserve {self._share(quota_bytes)}, which is {self._max_percent} % of the organisation's quota."
            f" {_way_out(file_ids)}"
        )

    def _share(self, quota_bytes: int) -> int:
        return quota_bytes * self._max_percent // 100

    def _condition(self, change: OpenChange, room: Room) -> Condition:
        fits: Condition = OpenUploadsRow.bytes_open <= room.most_bytes_open
        if room.most_bytes_open >= 0:
            fits |= OpenUploadsRow.bytes_open.does_not_exist()
        if change.listed > 0:
            fits &= OpenUploadsRow.file_ids.does_not_exist() | (_size(OpenUploadsRow.file_ids) < self._max_uploads)
            fits &= OpenUploadsRow.closed.does_not_exist() | (OpenUploadsRow.closed == False)  # noqa: E712
        return fits


def open_change(before: File | None, after: File | None) -> OpenChange | None:
    """What a change of a row does to its user's list; None when it does nothing."""
    file = after or before
    assert file is not None
    was, now = _listed_bytes(before), _listed_bytes(after)
    listed = (now is not None) - (was is not None)
    bytes_open = (now or 0) - (was or 0)
    if not listed and not bytes_open:
        return None
    return OpenChange(
        file.organization_id,
        file.uploaded_by_id,
        file.file_id,
        listed,
        bytes_open,
        is_limited=before is None or before.listed_as_open,
    )


def _listed_bytes(file: File | None) -> int | None:
    return file.reserved_bytes if file is not None and file.listed_as_open else None


def _size(attribute: Any) -> Any:
    return size(attribute)  # type: ignore[no-untyped-call]


def _to_open_uploads(row: OpenUploadsRow) -> OpenUploads:
    return OpenUploads(frozenset(row.file_ids or ()), int(row.bytes_open))


def _way_out(file_ids: list[str]) -> str:
    if not file_ids:
        return "Ask your operator for a larger quota, or send what is small enough by form."
    named = ", ".join(file_ids[:IDS_IN_A_SENTENCE])
    more = len(file_ids) - IDS_IN_A_SENTENCE
    return f"Finish one or give one up with DELETE /files/{{id}}: {named}{f' and {more} more' if more > 0 else ''}."
