"""Processing of an upload: hash, detect the type, check, copy, complete. Idempotent.

The row is the lock: a worker takes a lease by a conditional write, and only the holder of the lease can complete. The
first try at a small file takes none: whoever completes the row that all have read has won, and the others take back
their copies. Every step may be the last one before a crash; the message then shows up again and the next worker starts
over, with a lease, or the sweep finds the row.
"""

import logging
import random
import time
from dataclasses import replace

from chalicelib import keys
from chalicelib.files.disposition import attachment
from chalicelib.files.record import File, RemovedFile
from chalicelib.files.temp_bytes import discard_upload
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import (
    ObjectChanged,
    ObjectMissing,
    PermanentFault,
    QuotaExceeded,
    TooManyAtOnce,
    VersionConflict,
)
from chalicelib.kernel.metrics import put_count
from chalicelib.processing import steps
from chalicelib.processing.checks import check_bytes, check_sha256, check_size
from chalicelib.processing.examining import Examined, examine, examine_head
from chalicelib.processing.outcomes import Outcome as Outcome
from chalicelib.processing.ports import TempObject
from chalicelib.processing.steps import held_by_another
from chalicelib.tenants.organization import Organization
from chalicelib.uploads.ending import UPLOADER_DISABLED
from chalicelib.wiring import Stores

_log = logging.getLogger(__name__)

GAVE_UP = (
    "The file could not be processed after several attempts. It can be retried; if it fails again, contact support."
)
#: Every start of processing counts, so that a file that crashes its worker every time is not retried for ever.
MAX_STARTS = 9
#: Between two rounds of tries during an outage of a dependency; five times as long each. SQS delays a message by at
#: most 15 minutes (AWS limit).
OUTAGE_PAUSE_SECONDS = 60
OUTAGE_PAUSE_FACTOR = 5
OUTAGE_MAX_PAUSE_SECONDS = 900
STARTS_IN_A_ROUND = 3
#: Up to so many bytes the first try takes no lease: it lasts less than a second, a tenth of which taking one would be.
MOST_BYTES_AT_ONCE = 16 * 1024 * 1024
#: How long a file waits whose organisation has its share of the workers. Less than the sweep's quarter of an hour.
TURN_LEAST_SECONDS = 5
TURN_MOST_SECONDS = 400
BYTES_GONE = "The uploaded bytes are gone. Upload the file again."
#: Reasons of which somebody who operates the service has to know. Others are the upload's: refused, or never sent.
FAULTS_OF_OURS = frozenset({GAVE_UP, BYTES_GONE})


def process_upload(stores: Stores, key: str, worker: str, *, at_once: bool = False, tries_before: int = 0) -> Outcome:
    """Process the upload under this key of the temp bucket.

    :param worker: names the announcement; the same one shown again takes over its own lease.
    :param at_once: it is the first try and nobody waits for a worker, so that a small file needs no lease.
    :param tries_before: at this announcement; one without a lease has left no trace in the row.
    :raises Exception: a transient fault; calling again is safe and may succeed.
    """
    parsed = keys.parse_temp_key(key)
    if parsed is None:
        _log.warning("An object with a foreign key was removed from the temp bucket")
        stores.objects.delete_stray(key)
        return Outcome.FOREIGN_KEY
    organization_id, file_id = parsed
    file, organization = stores.files.find_with_organization(organization_id, file_id)
    if file is None or organization is None:
        # The row is written before the bytes, so a file without a row was deleted. Delete the bytes that are left.
        _log.info("Upload %s has no row: it was deleted", file_id)
        stores.objects.delete_temp(organization_id, file_id)
        stores.objects.delete_permanent_of(organization_id, file_id)
        return Outcome.UNKNOWN_FILE
    if tries_before and file.status == "completed" and file.object_version is not None:
        # A worker without a lease may have died before it took its copy back, which hides the right one.
        stores.objects.make_current(organization_id, file_id, file.object_name, file.object_version)
    settled = _already_settled(stores, file)
    if settled is not None:
        return settled
    if held_by_another(file, worker):
        # The worker with the lease has its own announcement; if it dies, the sweep announces the file again.
        _log.info("Upload %s is being processed by another worker", file_id)
        return Outcome.HELD_BY_ANOTHER
    most_bytes = min(MOST_BYTES_AT_ONCE, stores.settings.hash_at_once_bytes)
    if at_once and file.status == "pending" and file.attempts == 0 and file.file_size <= most_bytes:
        # The row goes on saying `pending`, and no start is counted: the next try takes a lease. If this worker dies and
        # the file is deleted or ended meanwhile, the message comes again, and whoever gets it deletes the copy.
        put_count(stores.settings, "UploadsAccepted", 1)
        return _settle(stores, file, _held(stores, file, worker), organization)
    try:
        if file.status == "completed":
            return steps.go_on_hashing(stores, file, worker)
        most = stores.settings.max_processing_per_organization
        taken = _take(stores, replace(file, attempts=max(file.attempts, tries_before)), worker, most)
    except VersionConflict:
        return process_upload(stores, key, worker, tries_before=tries_before)
    except TooManyAtOnce as error:
        return _wait_its_turn(stores, file, error.waiting)
    except QuotaExceeded as error:
        _log.info("Upload %s stays failed: %s", file_id, error)
        return Outcome.ALREADY_FAILED
    if taken.attempts == 1:
        put_count(stores.settings, "UploadsAccepted", 1)
    return _settle(stores, taken, taken, organization)


def postpone(stores: Stores, key: str, worker: str) -> bool:
    """The tries failed because of an outage: release the lease and announce the file again, later.

    :returns: False when it has had all its starts.
    """
    parsed = keys.parse_temp_key(key)
    file = stores.files.find(*parsed) if parsed is not None else None
    if file is None or not file.is_unfinished or held_by_another(file, worker):
        return True
    if not file.is_open:
        return steps.postpone(stores, file)
    if file.attempts >= MAX_STARTS:
        return False
    # The next announcement has another worker id, for which this lease would count as held by another.
    stores.files.replace(file, replace(file, lease_owner=None, lease_expires_at=0))
    rounds = file.attempts // STARTS_IN_A_ROUND
    pause_seconds = min(OUTAGE_PAUSE_SECONDS * OUTAGE_PAUSE_FACTOR ** max(0, rounds - 1), OUTAGE_MAX_PAUSE_SECONDS)
    stores.queue.announce(file.organization_id, file.file_id, delay_seconds=pause_seconds)
    _log.warning("Upload %s waits %d s: something is away", file.file_id, pause_seconds)
    return True


def give_up(stores: Stores, key: str, worker: str) -> None:
    """Set the status to failed after the last attempt. The object stays, so that the file can be retried."""
    parsed = keys.parse_temp_key(key)
    if parsed is None:
        return
    file = stores.files.find(*parsed)
    if file is None or not file.is_unfinished or held_by_another(file, worker):
        return
    if file.is_open:
        end_as_failed(stores, file, GAVE_UP, worker)
    else:
        steps.give_up_hashing(stores, file)


def end_as_failed(stores: Stores, file: File, reason: str, worker: str) -> None:
    """End an open file from outside of an attempt. The caller has checked that nobody holds its lease.

    :raises VersionConflict: somebody has taken it meanwhile.
    """
    if file.attempts:
        # A dead attempt may have left a copy. Only the holder of the lease may delete it: without the lease it could be
        # the copy with which another worker is completing the file.
        file = _take(stores, file, worker)
    _fail(stores, file, file, reason, discard_bytes=False)


def _already_settled(stores: Stores, file: File) -> Outcome | None:
    if file.status == "completed":
        if file.hashing == "pending":
            return None
        # A repeated event, or a presigned upload used again: keep the checked copy, delete the later bytes.
        stores.objects.delete_temp(file.organization_id, file.file_id)
        return Outcome.ALREADY_COMPLETED
    if file.status == "failed" and file.unrecoverable:
        # A worker without a lease may have died after its copy.
        stores.objects.delete_permanent_of(file.organization_id, file.file_id)
        stores.objects.delete_temp(file.organization_id, file.file_id)
        return Outcome.ALREADY_FAILED
    return None


def _require_lease(file: File) -> None:
    """A worker that was suspended for longer than its lease must not act on what it read before.

    :raises VersionConflict: the lease is over; somebody else may have the file by now.
    """
    if file.lease_expires_at <= time.time():
        raise VersionConflict("the lease ran out")


def _wait_its_turn(stores: Stores, file: File, waiting: int) -> Outcome:
    """The organisation has its share of the workers: give this one to others, and announce the file again later.

    The more of its files wait, the later, so that asking again takes no more than a fraction of a worker.
    """
    # Touched first, so that the sweep does not take it for forgotten and announce it a second time.
    stores.files.replace(file, file)
    share = stores.settings.max_processing_per_organization
    pause_seconds = min(max(waiting // share, TURN_LEAST_SECONDS), TURN_MOST_SECONDS)
    spread = random.randint(0, pause_seconds // 2)
    stores.queue.announce(file.organization_id, file.file_id, delay_seconds=pause_seconds + spread)
    return Outcome.WAITS_ITS_TURN


def _take(stores: Stores, file: File, worker: str, most: int | None = None) -> File:
    """Move to ``processing`` and hold the lease. The size of a failed file is reserved in the quota again.

    :param most: files of the organisation that may be in processing.
    """
    return stores.files.replace(file, _held(stores, file, worker), most_at_once=most)


def _held(stores: Stores, file: File, worker: str) -> File:
    return file.reset(
        status="processing",
        attempts=file.attempts + 1,
        lease_owner=worker,
        lease_expires_at=int(time.time()) + stores.settings.processing_lease_seconds,
    )


def _settle(stores: Stores, stored: File, file: File, organization: Organization) -> Outcome:
    """
    :param stored: the row as it is; what comes of the attempt is written over it and nothing else.
    :param file: as this worker has it.
    """
    try:
        return _carry_out(stores, stored, file, organization)
    except PermanentFault as fault:
        _require_lease(file)
        return _fail(stores, stored, file, fault.reason, discard_bytes=fault.discard_bytes)


def _carry_out(stores: Stores, stored: File, file: File, organization: Organization) -> Outcome:
    try:
        with stores.objects.open_temp(file.organization_id, file.file_id) as source:
            if file.accepted_fingerprint not in (None, source.etag):
                raise PermanentFault(UPLOADER_DISABLED, discard_bytes=True)
            check_size(stores, file, organization, source.size_bytes)
            in_steps = steps.needs_several(stores.settings, file, source)
            examined = examine_head(source) if in_steps else examine(source)
    except ObjectMissing:
        raise PermanentFault(BYTES_GONE) from None
    check_bytes(file, organization, examined)
    _require_lease(file)
    if examined.checked is None:
        return _carry_on(stores, file, source, examined)
    try:
        object_version = stores.objects.copy_to_permanent(
            file.organization_id,
            file.file_id,
            file.object_name,
            source,
            examined.checked,
            content_type=examined.mime_type,
            disposition=attachment(file.filename),
        )
    except ObjectMissing as error:
        raise ObjectChanged("the upload went away between reading and copying") from error
    return _complete(stores, stored, file, examined, object_version)


def _carry_on(stores: Stores, file: File, source: TempObject, examined: Examined) -> Outcome:
    """One step with a file that needs several: what fits its time, and the announcement of the next."""
    step = steps.Step(stores.settings)
    file = steps.for_bytes(file, source.etag)
    try:
        if file.expected_sha256 is not None and file.sha256_hash is None:
            # It must not be completed with other bytes than were announced.
            file = steps.hash_on(stores, file, step)
            if file.sha256_hash is None:
                return steps.leave_to_next(stores, file)
            check_sha256(file, file.sha256_hash)
            file = replace(file, hashed_fingerprint=source.etag)
        copied = steps.copy_on(stores, file, source, examined.mime_type, step)
    except ObjectMissing as error:
        raise ObjectChanged("the upload went away while it was hashed or copied") from error
    if not copied.done:
        return steps.leave_to_next(stores, copied.file)
    return _complete(stores, copied.file, copied.file, examined, copied.version)


def _complete(stores: Stores, stored: File, file: File, examined: Examined, object_version: str | None) -> Outcome:
    completed = replace(
        file,
        status="completed",
        file_size=examined.size_bytes,
        size_is_exact=True,
        reserved_bytes=examined.size_bytes,
        mime_type=examined.mime_type,
        **steps.hashes_of(stores.settings, file, examined.checked),
        crc64nvme=examined.crc64nvme,
        copy_upload_id=None,
        processed_at=timestamp(),
        object_version=object_version,
        lease_owner=None,
        lease_expires_at=0,
    )
    try:
        stores.files.replace(stored, completed)
    except VersionConflict:
        return _lost_the_row(stores, file, copy=object_version)
    if completed.hashing == "pending":
        stores.queue.announce(file.organization_id, file.file_id)
    else:
        stores.objects.delete_temp(file.organization_id, file.file_id)
    return Outcome.COMPLETED


def _lost_the_row(stores: Stores, file: File, *, copy: str | None = None, mark: str | None = None) -> Outcome:
    """The row changed since it was read: it was deleted, another worker was faster, or our own write took effect.

    :param copy: the version that this attempt wrote over the permanent object; ``mark``: that of a deletion.
    """
    now = stores.files.find(file.organization_id, file.file_id)
    if now is None:
        stores.objects.delete_permanent(file.organization_id, file.file_id, file.object_name)
        stores.objects.delete_temp(file.organization_id, file.file_id)
        return Outcome.UNKNOWN_FILE
    ours = copy or (mark if now.status == "completed" else None)
    if ours is not None and ours != now.object_version:
        # Ours hides the version with which the file was, or will be, completed, and which the bucket would delete after
        # its retention time. Deleting ours makes the right one current again. A failed file has none at all.
        stores.objects.delete_permanent_version(file.organization_id, file.file_id, file.object_name, ours)
    settled = _already_settled(stores, now)
    if settled is not None:
        return settled
    if now.status == "completed":
        # Its SHA-256 is due, for which the bytes stay.
        return Outcome.ALREADY_COMPLETED
    raise VersionConflict("the file was taken over")


def _fail(stores: Stores, stored: File, file: File, reason: str, *, discard_bytes: bool) -> Outcome:
    mark = None
    if stored.attempts:
        # An attempt may have died between its copy and its completion. A failed file has no object in the permanent
        # bucket.
        mark = stores.objects.delete_permanent(file.organization_id, file.file_id, file.object_name)
    _abort_copy(stores, file)
    failed = replace(
        file,
        status="failed",
        reserved_bytes=0,
        error_message=reason,
        processed_at=timestamp(),
        unrecoverable=discard_bytes,
        **steps.FORGOTTEN,
        lease_owner=None,
        lease_expires_at=0,
    )
    try:
        stores.files.replace(stored, failed)
    except VersionConflict:
        return _lost_the_row(stores, file, mark=mark)
    _log.warning("Upload %s failed: %s", file.file_id, reason)
    put_count(stores.settings, "UploadsFailed" if reason in FAULTS_OF_OURS else "UploadsRefused", 1)
    if discard_bytes:
        # After the row: otherwise a retry after a crash in between would report missing bytes, not the true reason.
        stores.objects.delete_temp(file.organization_id, file.file_id)
    return Outcome.FAILED


def _abort_copy(stores: Stores, file: File) -> None:
    if file.copy_upload_id is not None:
        stores.objects.abort_copy(file.organization_id, file.file_id, file.object_name, file.copy_upload_id)


def remove_leftovers(stores: Stores, removed: RemovedFile) -> None:
    """Finish the deletion of a file: delete its objects, then the note. Repeatable."""
    file = removed.file
    discard_upload(stores, file)
    _abort_copy(stores, file)
    stores.objects.delete_permanent(file.organization_id, file.file_id, file.object_name)
    stores.files.forget(removed)
