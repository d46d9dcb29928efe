"""Files that take longer than one invocation has: each does what fits its time, and announces the next.

What is done is kept in the row (the state of the SHA-256) and in storage (the parts of the copy), so a step that dies
costs what it did itself. Whoever holds the lease may go on, and gives it back between two steps. A step that gets on
makes the starts count anew; one that does not is a try as any other.
"""

import random
import time
from dataclasses import dataclass, replace
from typing import Any, Final

from chalicelib.files.disposition import attachment
from chalicelib.files.record import File
from chalicelib.kernel.config import Settings
from chalicelib.kernel.errors import CopyGone, ObjectChanged, ObjectMissing, TooManyAtOnce, VersionConflict
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.processing.outcomes import Outcome
from chalicelib.processing.ports import CheckedBytes, TempObject
from chalicelib.wiring import Stores

#: One part in so many of an organisation's places is for the SHA-256 of files that are completed already.
HASHING_SHARE = 3
#: Until hashing is tried again that an outage has stopped; SQS delays a message by no more (AWS limit).
OUTAGE_PAUSE_SECONDS = 900
_FREE: Final[dict[str, Any]] = {"lease_owner": None, "lease_expires_at": 0}
_NO_STATE: Final[dict[str, Any]] = {"hashing": None, "hash_state": None, "hashed_bytes": 0, "hashed_fingerprint": None}
#: Fields without what steps have found.
FORGOTTEN: Final[dict[str, Any]] = {**_NO_STATE, "sha256_hash": None, "copy_upload_id": None}


class Step:
    """The time of one invocation, from now on."""

    def __init__(self, settings: Settings) -> None:
        self._until = time.time() + settings.processing_step_seconds

    def time_is_up(self) -> bool:
        return time.time() >= self._until


@dataclass(frozen=True)
class Copied:
    """``done``: the copy is there, as this ``version``, if storage keeps versions."""

    file: File
    done: bool
    version: str | None = None


def needs_several(settings: Settings, file: File, source: TempObject) -> bool:
    """Whether its bytes are proved by a CRC64NVME, and too many to be hashed before it is completed.

    Only of an upload in parts: nothing that a client has been given can write its object a second time, which a CRC,
    for which collisions are easily made, would not notice.
    """
    if source.size_bytes <= settings.hash_at_once_bytes or source.verified_sha256 is not None:
        return False
    if file.multipart_upload_id is None or source.verified_crc64nvme is None:
        return False
    return file.expected_sha256 is None or _can_hash()


def for_bytes(file: File, etag: str) -> File:
    """The file without what was found of other bytes than these."""
    return (
        file
        if file.hashed_fingerprint == etag
        else replace(file, **{**_NO_STATE, "sha256_hash": None, "hashed_fingerprint": etag})
    )


def hashes_of(settings: Settings, file: File, checked: CheckedBytes | None) -> dict[str, Any]:
    """The fields of a completed file that tell of its SHA-256, or that it is due."""
    sha256 = checked.sha256 if checked is not None else file.sha256_hash
    if sha256 is not None:
        return {**_NO_STATE, "sha256_hash": sha256}
    if settings.sha256_relay == "off" or not _can_hash():
        return {**_NO_STATE, "hashing": "off"}
    return {"hashing": "pending", "attempts": 1}


def held_by_another(file: File, worker: str) -> bool:
    return file.lease_owner != worker and file.lease_expires_at > time.time()


def hash_on(stores: Stores, file: File, step: Step) -> File:
    """Hash from where the state is, for the time of this step.

    :returns: the file with the new state, or with its SHA-256; not written yet.
    :raises ObjectChanged: the object is not the one that the state is of.
    :raises ObjectMissing: it is gone.
    """
    from chalicelib.processing.resumable_sha256 import BLOCK_BYTES, Sha256

    digest = Sha256(file.hash_state, file.hashed_bytes)
    if file.hashed_bytes == file.file_size:
        return replace(file, **_NO_STATE, sha256_hash=digest.hexdigest())
    opened = stores.objects.open_temp(
        file.organization_id, file.file_id, first_byte=file.hashed_bytes, etag=file.hashed_fingerprint
    )
    # A state is kept between two blocks, so what is left of the last one waits.
    rest = b""
    with opened as source:
        for chunk in source.chunks:
            rest += chunk
            whole = len(rest) - len(rest) % BLOCK_BYTES
            digest.update(rest[:whole])
            rest = rest[whole:]
            if step.time_is_up() and digest.hashed_bytes + len(rest) < source.size_bytes:
                return replace(file, hashing="pending", hash_state=digest.state, hashed_bytes=digest.hashed_bytes)
    digest.update(rest)
    if digest.hashed_bytes != file.file_size:
        raise ObjectChanged(f"read {digest.hashed_bytes} of {file.file_size} bytes")
    return replace(file, **_NO_STATE, sha256_hash=digest.hexdigest())


def copy_on(stores: Stores, file: File, source: TempObject, mime_type: str, step: Step) -> Copied:
    """Begin the copy, or go on with it, for the time of this step; put it together when all of it is there.

    :raises CopyGone: what was copied is gone; the next try begins anew.
    :raises ObjectChanged: the upload was overwritten, or the copy is not what it was.
    :raises ObjectMissing: the upload is gone.
    :raises VersionConflict: the file is another's meanwhile.
    """
    if file.copy_upload_id is None:
        file = _begin_copy(stores, file, mime_type)
    named = (file.organization_id, file.file_id, file.object_name, file.copy_upload_id or "")
    try:
        if not stores.objects.copy_parts(*named, source, step.time_is_up):
            return Copied(file, done=False)
        return Copied(file, True, stores.objects.finish_copy(*named, source))
    except CopyGone:
        _save(stores, file, copy_upload_id=None)
        raise


def leave_to_next(stores: Stores, file: File) -> Outcome:
    """Keep what this step has done, and announce the next.

    :raises VersionConflict: the file is another's meanwhile.
    """
    kept = {name: getattr(file, name) for name in (*_NO_STATE, "sha256_hash", "copy_upload_id")}
    # Starts count anew, because this one got on. Not 0: there may be a copy to delete.
    _save(stores, file, **kept, **_FREE, attempts=1)
    stores.queue.announce(file.organization_id, file.file_id)
    return Outcome.CONTINUES


def go_on_hashing(stores: Stores, file: File, worker: str) -> Outcome:
    """One step of the SHA-256 of a file that is completed. The caller has checked that nobody else holds its lease.

    :raises VersionConflict: somebody has changed the file since it was read.
    """
    most = max(1, stores.settings.max_processing_per_organization // HASHING_SHARE)
    lease_expires_at = int(time.time()) + stores.settings.processing_lease_seconds
    taken = replace(file, attempts=file.attempts + 1, lease_owner=worker, lease_expires_at=lease_expires_at)
    try:
        file = stores.files.replace(file, taken, most_at_once=most)
    except TooManyAtOnce:
        return _wait_its_turn(stores, file)
    try:
        hashed = hash_on(stores, file, Step(stores.settings))
        if hashed.sha256_hash is None:
            return leave_to_next(stores, hashed)
        return _end_hashing(stores, file, **_NO_STATE, sha256_hash=hashed.sha256_hash)
    except (ObjectMissing, ObjectChanged):
        return give_up_hashing(stores, file)
    except VersionConflict:
        # Slower than its lease. Whoever has the file by now has an announcement of it.
        return Outcome.HELD_BY_ANOTHER


def postpone(stores: Stores, file: File) -> bool:
    """An outage has stopped the hashing of a completed file: announce it again, later, however often that takes.

    Its bytes expire some day, and end it.

    :returns: True: the message is done with.
    """
    stores.files.replace(file, replace(file, **_FREE, attempts=1))
    stores.queue.announce(file.organization_id, file.file_id, delay_seconds=OUTAGE_PAUSE_SECONDS)
    return True


def give_up_hashing(stores: Stores, file: File) -> Outcome:
    """The file stays completed, without a SHA-256.

    :raises VersionConflict: somebody has it meanwhile.
    """
    return _end_hashing(stores, file, **{**_NO_STATE, "hashing": "failed"})


def _end_hashing(stores: Stores, file: File, **changes: Any) -> Outcome:
    ended = _save(stores, file, **changes, **_FREE)
    stores.objects.delete_temp(file.organization_id, file.file_id)
    return Outcome.HASHED if ended.sha256_hash is not None else Outcome.NOT_HASHED


def _wait_its_turn(stores: Stores, file: File) -> Outcome:
    """The organisation has its share of the workers for hashing."""
    # Touched first, so that the sweep does not take it for forgotten and announce it a second time.
    stores.files.replace(file, file)
    pause_seconds = stores.settings.processing_step_seconds
    stores.queue.announce(
        file.organization_id, file.file_id, delay_seconds=pause_seconds + random.randint(0, pause_seconds // 2)
    )
    return Outcome.WAITS_ITS_TURN


def _begin_copy(stores: Stores, file: File, mime_type: str) -> File:
    named = (file.organization_id, file.file_id, file.object_name)
    copy_id = stores.objects.begin_copy(*named, content_type=mime_type, disposition=attachment(file.filename))
    try:
        return _save(stores, file, copy_upload_id=copy_id)
    except VersionConflict:
        # Nobody else knows of it.
        stores.objects.abort_copy(*named, copy_id)
        raise


def _save(stores: Stores, file: File, **changes: Any) -> File:
    """Write into the row what this worker has found, whatever else, such as the name, was changed meanwhile.

    :raises VersionConflict: it is another worker's, or gone.
    """
    taken_over = VersionConflict("the file was taken over")

    def save(now: File | None) -> File | None:
        if now is None or (now.lease_owner, now.attempts) != (file.lease_owner, file.attempts):
            return None
        return stores.files.replace(now, replace(now, **changes))

    saved = compare_and_swap(
        lambda: stores.files.find(file.organization_id, file.file_id), save, first=file, exhausted=taken_over
    )
    if saved is None:
        raise taken_over
    return saved


def _can_hash() -> bool:
    from chalicelib.processing.resumable_sha256 import is_available

    return is_available()
