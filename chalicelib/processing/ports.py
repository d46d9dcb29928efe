"""Ports: the storage of bytes and the queue, as processing needs them. Uploads, files and the sweep use the same two.

``chalicelib.wiring`` builds what is behind them: S3 and SQS. Besides the errors that a method names, each can raise any
error of an outage, which ``Stores.is_outage`` tells from a bug; then it may have taken effect all the same, so a caller
either repeats it or leaves it to the sweep. ``is_reachable`` is for health checks and raises nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chalicelib.kernel.content import Content


@dataclass(frozen=True)
class TempObject:
    """An uploaded object, pinned to the bytes that it had when it was opened."""

    etag: str
    size_bytes: int
    #: Hex SHA-256 of the whole object as storage itself verified it, if it did.
    verified_sha256: str | None
    #: Its bytes in order, in pieces of any size. Reading can raise; see :meth:`Objects.open_temp`.
    chunks: Iterator[bytes]
    #: Bytes of each part in which it will be copied; None when it is copied whole.
    copy_part_bytes: int | None = None
    #: Base64 of the CRC64NVME of the whole object as storage itself verified it, if it did.
    verified_crc64nvme: str | None = None


@dataclass(frozen=True)
class CheckedBytes:
    """What a copy has to hold: hex SHA-256 of the whole and, of an object that is copied in parts, of each part."""

    sha256: str
    part_sha256: tuple[str, ...] = ()


class Objects(Protocol):
    """Uploads where they arrive (temp), one for each file, and checked copies where they stay (permanent).

    An object is named by the organisation, then the file; ``name`` is the row's ``object_name``.
    """

    @property
    def download_origin(self) -> str:
        """Scheme and host of what :meth:`download_url` gives, whose pictures a page has to be allowed to show."""

    def is_temp_bucket(self, name: str) -> bool:
        """Whether an announcement that names this bucket is about an upload of ours."""

    def put_temp(self, organization_id: str, file_id: str, body: Content, sha256_hex: str) -> None:
        """Store an upload, in the place of what was there. Bytes of another SHA-256 are refused and not stored."""

    def open_temp(
        self, organization_id: str, file_id: str, *, first_byte: int = 0, etag: str | None = None
    ) -> AbstractContextManager[TempObject]:
        """Open an upload for one read. Closing it early leaves the rest of the bytes where they are.

        A connection that breaks while the bytes are read is replaced, from the byte where it broke.

        :param first_byte: where its bytes begin, less than its size; of a part of it no checksums are told.
        :param etag: refuse an object with another one.
        :raises ObjectMissing: it is not there. While reading: the connection broke, and meanwhile it went away.
        :raises ObjectChanged: it has another ETag. While reading: the connection broke, and it was overwritten.
        """

    def temp_exists(self, organization_id: str, file_id: str) -> bool: ...

    def delete_temp(self, organization_id: str, file_id: str) -> None:
        """Repeatable: deleting what is gone is fine."""

    def delete_stray(self, key: str) -> None:
        """Delete an object from where uploads arrive, whose key names no file of anyone. Repeatable."""

    def temp_keys_before(self, moment: datetime) -> Iterator[str]:
        """Keys of all uploads that arrived before this moment, which has a time zone."""

    def copy_to_permanent(
        self,
        organization_id: str,
        file_id: str,
        name: str,
        source: TempObject,
        checked: CheckedBytes,
        *,
        content_type: str,
        disposition: str,
    ) -> str | None:
        """Copy an upload to where checked files stay. The bytes do not pass through this process.

        :param source: as it was opened; reading it is not needed. The copy is refused unless the object still has its
            ETag.
        :param checked: the copy is taken back unless it holds these bytes; what was there before is current again.
        :param disposition: stays with the object, so that it leaves as an attachment by whichever URL.
        :returns: the version id of what was written, None when storage keeps no versions.
        :raises ObjectChanged: the upload was overwritten since it was opened, even by bytes of the same ETag.
        :raises ObjectMissing: the upload is gone.
        """

    def begin_copy(self, organization_id: str, file_id: str, name: str, *, content_type: str, disposition: str) -> str:
        """Begin a copy that several processes go on with, one after the other; parameters as above.

        :returns: what names it, together with organisation, file and name.
        """

    def copy_parts(
        self,
        organization_id: str,
        file_id: str,
        name: str,
        copy_id: str,
        source: TempObject,
        time_is_up: Callable[[], bool],
    ) -> bool:
        """Copy the parts that are not there yet, at least one; none is begun after the time is up.

        :returns: whether all are there.
        :raises CopyGone: there is no such copy any more.
        :raises ObjectChanged: the upload has another ETag than ``source``.
        :raises ObjectMissing: the upload is gone.
        """

    def finish_copy(
        self, organization_id: str, file_id: str, name: str, copy_id: str, source: TempObject
    ) -> str | None:
        """Make an object of one whose parts are all there. It is taken back unless its CRC64NVME is that of ``source``.

        :returns: as :meth:`copy_to_permanent`.
        :raises CopyGone: there is no such copy any more.
        :raises ObjectChanged: it has another CRC64NVME.
        """

    def abort_copy(self, organization_id: str, file_id: str, name: str, copy_id: str) -> None:
        """Delete the parts of a copy; there is no such copy any more. Repeatable."""

    def delete_permanent(self, organization_id: str, file_id: str, name: str) -> str | None:
        """Delete the current copy. Repeatable.

        :returns: the version id of the mark that hides the copies below it, to be deleted like that of a copy. None
            when storage keeps no versions.
        """

    def delete_permanent_version(self, organization_id: str, file_id: str, name: str, version: str) -> None:
        """Take back one copy, or one deletion, for good; the version below it becomes the current one. Repeatable."""

    def make_current(self, organization_id: str, file_id: str, name: str, version: str) -> int:
        """Take back for good all that was written over this version of the copy. Repeatable.

        :returns: how many copies and deletions that were.
        """

    def delete_permanent_of(self, organization_id: str, file_id: str) -> None:
        """Delete the copies of a file under whatever name: its row, and so its name, is gone. Repeatable."""

    def download_url(
        self,
        organization_id: str,
        file_id: str,
        name: str,
        *,
        version: str | None,
        disposition: str,
        content_type: str,
        ttl_seconds: int,
        method: str = "get_object",
    ) -> str:
        """A URL that gives exactly one object to whoever has it, for ``ttl_seconds``. Making it asks nobody.

        :param version: what the copy returned; None gives whatever is current.
        :param disposition: of the answer, whatever the object has; ``content_type`` likewise.
        :param method: ``get_object``, or ``head_object`` for an answer without the bytes.
        """

    def is_reachable(self) -> bool: ...


class Queue(Protocol):
    """The queue of announcements: what tells the process function that bytes have arrived."""

    def announce(self, organization_id: str, file_id: str, delay_seconds: int = 0) -> None:
        """Say again that an upload has arrived, in the form in which storage says it.

        :param delay_seconds: until anybody hears it, from 0 to 900; more is refused as an error.
        """

    def delay(self, receipt_handle: str, seconds: int) -> None:
        """Show a message that is being handled again after this time, instead of after the queue's own time-out.

        :param receipt_handle: of this delivery.
        """

    def is_reachable(self) -> bool: ...
