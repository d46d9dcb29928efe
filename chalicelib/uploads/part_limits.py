"""Limits of uploads in parts: no more than is reserved stays for longer than one interval of the sweep.

S3 refuses a part of another length when the length is signed, and bounds it by nothing but its own 5 GiB when it is
not. So each length that can be known is signed. For an upload of unknown size, whose client alone knows how it cuts,
what has arrived is counted before anything more is signed, and by the sweep; the reservation grows with it, and when
it can't, the upload is given up. What that adds up to at most is in docs/decisions/0021.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from chalicelib.files.record import File
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Conflict, QuotaExceeded, TooLarge
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.uploads.parts import MAX_PARTS, MIN_PART_BYTES, Part
from chalicelib.wiring import Stores

#: How many parts that have not arrived may have URLs without a signed length. Uppy sends 6 at a time, and signs 6
#: more before it sends them.
MAX_PARTS_AHEAD = 32
#: Clients sign a URL without a length right before they use it; S3 checks the expiry when the request begins.
OPEN_URL_TTL_SECONDS = 300
#: A reservation grows by more than what has arrived, so that it need not grow with each part.
GROWTH_BYTES = 100 * 1024 * 1024


def part_bytes_of_uppy(size_bytes: int) -> int:
    """How Uppy cuts a file unless its page sets ``getChunkSize`` (@uppy/aws-s3 5 and 6)."""
    return max(MIN_PART_BYTES, -(-size_bytes // MAX_PARTS))


def has_known_cut(file: File) -> bool:
    """Whether size and part size are known, so that S3 can refuse a part of another length."""
    return file.size_is_exact and file.part_bytes is not None


def url_ttl_seconds(stores: Stores, file: File) -> int:
    """How long the URL of a part is valid."""
    ttl_seconds = stores.settings.upload_url_ttl_seconds
    return ttl_seconds if has_known_cut(file) else min(ttl_seconds, OPEN_URL_TTL_SECONDS)


def signed_lengths(stores: Stores, file: File, numbers: list[int]) -> dict[int, int | None]:
    """The bytes that the URL of each part is to take; None: nobody knows them yet.

    :raises Conflict: too far ahead of what has arrived, or the parts are being put together.
    :raises QuotaExceeded: no room for what has arrived; the upload is given up.
    :raises TooLarge: likewise, more has arrived than a file may have.
    :raises ObjectMissing: storage has no such upload any more.
    """
    if has_known_cut(file):
        return {number: _planned_length(file, number) for number in numbers}
    if file.size_is_exact:
        raise Conflict("The upload is being put together; it takes no more parts.")
    _, parts = count_arrived(stores, file)
    arrived = {part.number: part.size_bytes for part in parts}
    # S3 assembles no smaller parts, so they do not raise the number of signed parts.
    most = sum(part.size_bytes >= MIN_PART_BYTES for part in parts) + MAX_PARTS_AHEAD
    for number in numbers:
        if number > most and number not in arrived:
            raise Conflict(
                f"Part {number} is too far ahead: {len(parts)} parts have arrived, so the parts up to {most} are next. "
                f"Send those, each but the last of at least {MIN_PART_BYTES} bytes, then ask again."
            )
    # A client that repeats a part after a lost answer sends the same bytes.
    return {number: arrived.get(number) for number in numbers}


def count_arrived(stores: Stores, file: File) -> tuple[File, list[Part]]:
    """The parts that have arrived of an open upload, after reserving quota for all of them.

    :returns: the file as it is now, and the parts in order.
    :raises QuotaExceeded: there is no room; the upload is given up.
    :raises TooLarge: it is more than was announced, or than a file may have; likewise.
    :raises Conflict: the upload was ended or put together meanwhile.
    :raises ObjectMissing: storage has no such upload any more.
    """
    parts = stores.direct_uploads.parts(file.organization_id, file.file_id, file.multipart_upload_id or "")
    arrived_bytes = sum(part.size_bytes for part in parts)
    if arrived_bytes <= file.reserved_bytes:
        return file, parts
    try:
        return _reserve(stores, file, arrived_bytes), parts
    except (QuotaExceeded, TooLarge) as refusal:
        _give_up(stores, file, str(refusal))
        raise


def _planned_length(file: File, number: int) -> int:
    part_bytes = file.part_bytes or MIN_PART_BYTES
    return min(part_bytes, file.file_size - (number - 1) * part_bytes)


def _reserve(stores: Stores, file: File, arrived_bytes: int) -> File:
    most = stores.settings.max_direct_upload_bytes
    if file.size_is_exact:
        raise TooLarge(f"{arrived_bytes} bytes have arrived, of {file.file_size} announced. Start a new upload.")
    if arrived_bytes > most:
        raise TooLarge(f"A file may have at most {most} bytes; {arrived_bytes} have arrived.")

    def grow_to(size_bytes: int) -> File:
        return _change(
            stores,
            file,
            lambda now: (
                now
                if arrived_bytes <= now.reserved_bytes
                else replace(now, file_size=size_bytes, reserved_bytes=size_bytes)
            ),
        )

    try:
        return grow_to(min(most, arrived_bytes + GROWTH_BYTES))
    except QuotaExceeded:
        return grow_to(arrived_bytes)


def _give_up(stores: Stores, file: File, reason: str) -> None:
    """The parts first: after a crash in between, the row is still open and the sweep repeats this."""
    stores.direct_uploads.abort(file.organization_id, file.file_id, file.multipart_upload_id or "")
    # Another request ends the file; the answer to this one stays a refusal.
    with suppress(Conflict):
        _change(
            stores,
            file,
            lambda now: replace(
                now,
                status="failed",
                reserved_bytes=0,
                error_message=reason,
                processed_at=timestamp(),
                unrecoverable=True,
            ),
        )


def _change(stores: Stores, file: File, changed: Callable[[File], File]) -> File:
    """Change an upload that other requests for it may be changing too.

    :raises Conflict: it is not the open upload any more that it was, or it kept changing.
    :raises QuotaExceeded: it takes more room than there is.
    """

    def change(now: File | None) -> File:
        if now is None or now.status != "pending" or now.size_is_exact != file.size_is_exact:
            raise Conflict("The upload takes no more parts: it is being put together, or was given up.")
        after = changed(now)
        return now if after is now else stores.files.replace(now, after)

    return compare_and_swap(
        lambda: stores.files.find(file.organization_id, file.file_id),
        change,
        first=file,
        exhausted=Conflict("The upload was being changed at the same moment; ask again."),
    )
