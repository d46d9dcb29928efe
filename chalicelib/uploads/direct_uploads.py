"""Uploads straight to storage: start, sign parts, list what arrived, complete, give up.

The row comes first, as with a form, and takes its room in the quota at once. Everything later starts from that row and
is refused as unknown unless organisation, user and upload id are those of the row. Storage enforces what was signed;
when the bytes are there it announces them by itself, and processing measures them again.
"""

import logging
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from chalicelib import keys
from chalicelib.files.record import File, UploadMethod
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput, Conflict, FileNotFound, ObjectMissing, TooLarge, VersionConflict
from chalicelib.uploads import part_limits
from chalicelib.uploads.form_uploads import new_file, take_back
from chalicelib.uploads.parts import MAX_PARTS, Part, PresignedPost
from chalicelib.wiring import Stores

MEBIBYTE = 1024 * 1024
#: Parts of this size keep memory small and retries cheap; they grow when 10,000 of them would not do.
PREFERRED_PART_BYTES = 16 * MEBIBYTE
MAX_SIGNED_PARTS = 1000
MAX_CONTENT_TYPE_CHARACTERS = 255
DEFAULT_CONTENT_TYPE = "application/octet-stream"
TAKES_NO_MORE = "The upload is completed, given up or expired; it takes no more parts."


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class UploadIntent:
    """What a client says of a file that it is about to send. ``size_bytes`` None: it does not say."""

    filename: str
    size_bytes: int | None
    content_type: str | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Started:
    """A started upload: either a form to send, or an upload to be sent in parts."""

    file: File
    form: PresignedPost | None
    expires_at: int


def start_upload(stores: Stores, caller: Caller, announced: UploadIntent) -> Started:
    """A form for files up to the threshold, parts above it.

    :raises BadInput: no filename, a bad size, type or checksum.
    :raises TooLarge: above the largest upload.
    :raises QuotaExceeded: the organisation has no room.
    """
    if announced.size_bytes is not None and announced.size_bytes > stores.settings.multipart_threshold_bytes:
        return start_multipart(stores, caller, announced)
    return start_form(stores, caller, announced)


def start_form(stores: Stores, caller: Caller, announced: UploadIntent) -> Started:
    """As :func:`start_upload`, by one presigned POST."""
    expires_at = int(time.time()) + stores.settings.upload_url_ttl_seconds
    file = stores.files.create(replace(_new_file(stores, caller, announced, expires_at), upload_method="post"))
    form = stores.direct_uploads.presign_post(
        file.organization_id,
        file.file_id,
        least_bytes=file.file_size if file.size_is_exact else 0,
        most_bytes=file.file_size,
        content_type=file.declared_type or DEFAULT_CONTENT_TYPE,
        sha256_hex=file.expected_sha256,
        ttl_seconds=stores.settings.upload_url_ttl_seconds,
    )
    return Started(file, form, expires_at)


def start_multipart(
    stores: Stores, caller: Caller, announced: UploadIntent, method: UploadMethod = "multipart"
) -> Started:
    """As :func:`start_upload`, in parts.

    :param method: by whose contract the parts are cut and signed: ours, or Uppy's.
    """
    expires_at = int(time.time()) + multipart_ttl_seconds(stores.settings.multipart_days)
    planned = _new_file(stores, caller, announced, expires_at)
    part_bytes: int | None = part_size(planned.file_size)
    if method == "uppy":
        part_bytes = part_limits.part_bytes_of_uppy(planned.file_size) if planned.size_is_exact else None
    file = stores.files.create(replace(planned, upload_method=method, part_bytes=part_bytes))
    try:
        upload_id = stores.direct_uploads.start_multipart(
            file.organization_id, file.file_id, file.declared_type or DEFAULT_CONTENT_TYPE
        )
        # A crash before this line leaves a row without an upload, which expires, and an upload that storage aborts.
        file = stores.files.replace(file, replace(file, multipart_upload_id=upload_id))
    except Exception as error:
        take_back(stores, file, error)
        raise
    return Started(file, None, expires_at)


def multipart_ttl_seconds(days: int) -> int:
    """How long parts may arrive. After it the sweep aborts the upload; the bucket's lifecycle does so days later."""
    return (24 * days - 1) * 3600


def part_size(size_bytes: int) -> int:
    """Bytes of each part but the last, such that at most 10,000 are needed."""
    needed = -(-size_bytes // MAX_PARTS)
    return max(PREFERRED_PART_BYTES, -(-needed // MEBIBYTE) * MEBIBYTE)


def part_count(file: File) -> int:
    return max(1, -(-file.file_size // (file.part_bytes or PREFERRED_PART_BYTES)))


def sign_parts(
    stores: Stores, file: File, numbers: list[int], crc64nvme: Mapping[int, str] | None = None
) -> dict[int, str]:
    """URLs to send parts to, which live as long as :func:`part_limits.url_ttl_seconds` says and can be asked for again.

    :param crc64nvme: number -> base64 of the CRC64NVME of that part, which storage then verifies.
    :raises BadInput: a number out of bounds, or too many at once; a checksum of none of them, or that is none.
    :raises Conflict: the upload does not wait for these parts.
    :raises QuotaExceeded: more has arrived than there is room for; the upload is given up.
    :raises TooLarge: more has arrived than a file may have; likewise.
    """
    if not 1 <= len(numbers) <= MAX_SIGNED_PARTS:
        raise BadInput(f"Ask for 1 to {MAX_SIGNED_PARTS} parts at once, not {len(numbers)}.")
    most = part_count(file) if part_limits.has_known_cut(file) else MAX_PARTS
    for number in numbers:
        if not 1 <= number <= most:
            raise BadInput(f"The parts of this upload are numbered from 1 to {most}; {number} is not among them.")
    checksums = _checked_checksums(crc64nvme or {}, numbers)
    upload_id = _require_open(file)
    try:
        lengths = part_limits.signed_lengths(stores, file, numbers)
    except ObjectMissing:
        raise Conflict(TAKES_NO_MORE) from None
    ttl_seconds = part_limits.url_ttl_seconds(stores, file)
    return {
        number: stores.direct_uploads.presign_part(
            file.organization_id,
            file.file_id,
            upload_id,
            number,
            exact_bytes=length,
            ttl_seconds=ttl_seconds,
            crc64nvme=checksums.get(number),
        )
        for number, length in lengths.items()
    }


def _checked_checksums(crc64nvme: Mapping[int, str], numbers: list[int]) -> Mapping[int, str]:
    for number, checksum in crc64nvme.items():
        if number not in numbers:
            raise BadInput(f"crc64nvme has a checksum of part {number}, which is not among part_numbers.")
        if not re.fullmatch(r"[A-Za-z0-9+/]{10}[AEIMQUYcgkosw048]=", checksum):
            raise BadInput(f"The crc64nvme of part {number} must be 8 bytes in base64.")
    return crc64nvme


def arrived_parts(stores: Stores, file: File) -> list[Part]:
    """What has arrived, in order.

    :raises Conflict: the upload does not wait for parts any more.
    """
    try:
        return stores.direct_uploads.parts(file.organization_id, file.file_id, _require_open(file))
    except ObjectMissing:
        raise Conflict(TAKES_NO_MORE) from None


def complete(stores: Stores, file: File, listed: list[tuple[int, str]] | None) -> File:
    """Assemble the parts. Repeating the call gives the same answer.

    :param listed: number and ETag of each part, as the client knows them; None takes what has arrived.
    :raises BadInput: the client's list is not what has arrived, or storage refuses the parts.
    :raises Conflict: bytes are missing, or the upload failed or expired.
    :raises TooLarge: more bytes than allowed have arrived; the upload is given up.
    :raises QuotaExceeded: of an upload that did not say its size: it has no room; likewise.
    """
    if file.status in ("processing", "completed"):
        return file
    upload_id = _require_open(file)
    try:
        file, arrived = part_limits.count_arrived(stores, file)
    except ObjectMissing:
        return _completed_before(stores, file)
    parts = _agreed(arrived, listed)
    if not parts:
        raise Conflict("No part has arrived, and storage puts together at least one; an empty file goes by form.")
    file = _settle_size(stores, file, _sum_of_bytes(parts), _sum_of_bytes(arrived))
    try:
        done = stores.direct_uploads.complete(file.organization_id, file.file_id, upload_id, parts)
    except ObjectMissing:
        return _completed_before(stores, file)
    return file if done else _leave_to_storage(stores, file)


def complete_again(stores: Stores, file: File) -> bool:
    """What the sweep does for an upload that storage did not assemble in time.

    :returns: whether storage was asked again; False when there is nothing left to put together.
    """
    if file.multipart_upload_id is None or file.upload_expires_at <= time.time():
        return False
    try:
        parts = stores.direct_uploads.parts(file.organization_id, file.file_id, file.multipart_upload_id)
        if _sum_of_bytes(parts) != file.file_size:
            return False
        stores.direct_uploads.complete(file.organization_id, file.file_id, file.multipart_upload_id, parts)
    except ObjectMissing:
        return False
    return True


def own_upload(stores: Stores, caller: Caller, file_id: str, upload_id: str | None = None) -> File:
    """The multipart upload that this user started.

    :raises FileNotFound: it is absent, of another user or organisation, or has another upload id.
    """
    file = stores.files.find(caller.organization_id, file_id) if keys.is_file_id(file_id) else None
    if file is None or file.uploaded_by_id != caller.user_id or file.multipart_upload_id is None:
        raise FileNotFound
    if upload_id is not None and upload_id != file.multipart_upload_id:
        raise FileNotFound
    return file


def _new_file(stores: Stores, caller: Caller, announced: UploadIntent, expires_at: int) -> File:
    most = stores.settings.max_direct_upload_bytes
    # Without a size, reserve that of a usual file; the real size is settled when the upload is complete.
    size_bytes = (
        announced.size_bytes
        if announced.size_bytes is not None
        else min(most, stores.settings.multipart_threshold_bytes)
    )
    if size_bytes > most:
        raise TooLarge(f"A file may have at most {most} bytes; this one has {size_bytes}.")
    if announced.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", announced.sha256):
        raise BadInput("sha256 must be 64 hexadecimal digits in lower case.")
    return replace(
        new_file(caller, announced.filename, _content_type(announced.content_type), size_bytes),
        size_is_exact=announced.size_bytes is not None,
        expected_sha256=announced.sha256,
        upload_expires_at=expires_at,
    )


def _content_type(declared: str | None) -> str:
    """:raises BadInput: it can't stand in a header."""
    if declared is None or declared in ("", "undefined", "null"):
        return DEFAULT_CONTENT_TYPE
    if len(declared) > MAX_CONTENT_TYPE_CHARACTERS or not re.fullmatch(r"[!-~][ -~]*", declared):
        raise BadInput(f"The content type must be at most {MAX_CONTENT_TYPE_CHARACTERS} printable ASCII characters.")
    return declared


def _require_open(file: File) -> str:
    """The upload id of an upload that still waits for parts."""
    if file.status != "pending" or file.multipart_upload_id is None:
        raise Conflict(f"The upload takes no more parts: the file is {file.status}.")
    return file.multipart_upload_id


def _agreed(arrived: list[Part], listed: list[tuple[int, str]] | None) -> list[Part]:
    if listed is None:
        return arrived
    by_number = {part.number: part for part in arrived}
    if len({number for number, _ in listed}) != len(listed):
        raise BadInput("A part is listed twice.")
    chosen = []
    for number, etag in sorted(listed):
        part = by_number.get(number)
        if part is None or part.etag != etag.strip('"'):
            raise BadInput(f"Part {number} has not arrived, or its ETag is not the one listed.")
        chosen.append(part)
    return chosen


def _settle_size(stores: Stores, file: File, listed_bytes: int, arrived_bytes: int) -> File:
    if file.size_is_exact:
        if listed_bytes != file.file_size:
            raise Conflict(f"{listed_bytes} of the announced {file.file_size} bytes are in the listed parts.")
        return file
    try:
        # Parts that were not listed stay reserved until storage has assembled the others.
        return stores.files.replace(
            file, replace(file, file_size=listed_bytes, reserved_bytes=arrived_bytes, size_is_exact=True)
        )
    except VersionConflict:
        raise Conflict("The upload was being changed at the same moment; ask again.") from None


def _sum_of_bytes(parts: list[Part]) -> int:
    return sum(part.size_bytes for part in parts)


def _leave_to_storage(stores: Stores, file: File) -> File:
    """Storage continues and announces the object. If it fails, the sweep finds this mark."""
    try:
        return stores.files.replace(file, replace(file, completing=True))
    except VersionConflict:
        # Storage has just finished, and processing has begun.
        return file
    except Exception as error:
        if not stores.is_outage(error):
            raise
        # Storage has the request; after an error, clients would abort an upload that is about to succeed.
        _log.warning("An upload that storage is putting together could not be marked", exc_info=True)
        return file


def _completed_before(stores: Stores, file: File) -> File:
    """S3 has no such upload: an earlier call completed it, or it was aborted."""
    now = stores.files.find(file.organization_id, file.file_id)
    if now is None:
        raise FileNotFound
    if now.status in ("processing", "completed") or stores.direct_uploads.has_arrived(
        file.organization_id, file.file_id
    ):
        return now
    raise Conflict("The upload expired or was given up; start a new one.")
