"""The sweep: recovers from crashes. It ends rows that were left open and deletes bytes without a row.

It finds rows by an index of those that still have something to happen to them, never by a scan, and repairs them by the
same means as everyone else, so running it at any moment, or twice at once, is safe.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from chalicelib import keys
from chalicelib.files.record import File, RemovedFile
from chalicelib.kernel import logs
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import Conflict, ObjectMissing, QuotaExceeded, TooLarge, VersionConflict
from chalicelib.kernel.metrics import put_count
from chalicelib.processing.processing import GAVE_UP, MAX_STARTS, end_as_failed, remove_leftovers
from chalicelib.processing.steps import give_up_hashing
from chalicelib.uploads.direct_uploads import complete_again
from chalicelib.uploads.part_limits import count_arrived
from chalicelib.webhooks.wakeups import wake_overdue
from chalicelib.wiring import Stores

#: A form upload takes seconds; after this time without a change it needs the sweep.
STALE_SECONDS = 15 * 60
#: After this many failures in one sweep the cause is not the items but an outage of a dependency.
MAX_ERRORS = 10
#: The sweep's worker id in leases.
WORKER = "sweep"
NEVER_ARRIVED = "The upload never arrived. Upload the file again."

_log = logging.getLogger(__name__)


def sweep(stores: Stores, *, stale_seconds: int = STALE_SECONDS) -> dict[str, int]:
    """Handle everything that is overdue.

    One item that can't be finished is logged and left to the next sweep; it does not keep the others waiting.

    :returns: how often each thing was done: ``webhooks_woken``, ``requeued``, ``expired``, ``failed``, ``not_hashed``
        (completed, and its SHA-256 will not come), ``deletions_finished``, ``completions_repeated``,
        ``strays_deleted``, ``given_up`` (more had arrived than there was room for), ``left`` (not due after all),
        ``errors``.
    :raises Exception: too many errors, or no access to the lists themselves.
    """
    done: Counter[str] = Counter()
    now = datetime.now(UTC)
    moment = now - timedelta(seconds=stale_seconds)
    # First because it takes least.
    _do(done, partial(_wake_webhooks, stores, done))
    waiting: list[File] = []
    for item in stores.files.unfinished(timestamp(max(moment, now))):
        file = item.file if isinstance(item, RemovedFile) else item
        outcome: str | None = "left"
        if file.touched_at < timestamp(moment):
            with logs.log_context(organization_id=file.organization_id, file_id=file.file_id):
                outcome = _do(done, partial(_finish, stores, item))
        if outcome == "left" and item is file and _waits_for_parts(file):
            waiting.append(file)
    for key in stores.objects.temp_keys_before(moment):
        with logs.log_context(**keys.named_by(key)):
            _do(done, partial(_check_temp, stores, key))
    # Last because it takes longest: one call for each upload and thousand parts.
    for file in waiting:
        with logs.log_context(organization_id=file.organization_id, file_id=file.file_id):
            _do(done, partial(_count_parts, stores, file, timestamp(moment)))
    _log.info("Swept: %s", dict(done) or "nothing to do")
    put_count(stores.settings, "SweepRan", 1)
    return dict(done)


def _do(done: Counter[str], step: Callable[[], str | None]) -> str | None:
    """The result for one item; None when there is nothing to count."""
    try:
        outcome = step()
    except VersionConflict:
        # Another process is handling it.
        outcome = "left"
    except Exception:
        outcome = "errors"
        if done["errors"] + 1 >= MAX_ERRORS:
            raise
        _log.exception("One item could not be swept")
    if outcome is not None:
        done[outcome] += 1
    return outcome


def _wake_webhooks(stores: Stores, done: Counter[str]) -> None:
    if woken := wake_overdue(stores, int(time.time())):
        done["webhooks_woken"] += woken


def _finish(stores: Stores, item: File | RemovedFile) -> str:
    if isinstance(item, RemovedFile):
        if _lease_runs(item.file):
            return "left"
        remove_leftovers(stores, item)
        return "deletions_finished"
    if _lease_runs(item):
        return "left"
    if item.status == "completed":
        return _finish_hashing(stores, item)
    if not stores.objects.temp_exists(item.organization_id, item.file_id):
        if item.completing and item.status == "pending":
            # Touch first: the next sweep then waits a quarter of an hour for storage.
            item = stores.files.replace(item, item)
            if complete_again(stores, item):
                return "completions_repeated"
        if item.status == "pending" and item.upload_expires_at > time.time():
            return "left"
        if item.multipart_upload_id is not None:
            # Parts may have arrived. An object that is being assembled now stays: its announcement reopens the file.
            stores.direct_uploads.abort(item.organization_id, item.file_id, item.multipart_upload_id)
        end_as_failed(stores, item, NEVER_ARRIVED, WORKER)
        return "expired"
    if item.attempts >= MAX_STARTS:
        end_as_failed(stores, item, GAVE_UP, WORKER)
        return "failed"
    # Touch first: after a crash before the announcement, a later sweep repeats it.
    stores.files.replace(item, item)
    stores.queue.announce(item.organization_id, item.file_id)
    return "requeued"


def _finish_hashing(stores: Stores, file: File) -> str:
    """Of a completed file whose SHA-256 is due."""
    if file.attempts >= MAX_STARTS or not stores.objects.temp_exists(file.organization_id, file.file_id):
        give_up_hashing(stores, file)
        return "not_hashed"
    # Touch first: after a crash before the announcement, a later sweep repeats it.
    stores.files.replace(file, file)
    stores.queue.announce(file.organization_id, file.file_id)
    return "requeued"


def _waits_for_parts(file: File) -> bool:
    return file.status == "pending" and file.multipart_upload_id is not None and not file.completing


def _count_parts(stores: Stores, file: File, stale_before: str) -> str | None:
    """Delete parts beyond the reservation; the URLs of an upload of unknown size do not limit it."""
    try:
        count_arrived(stores, file)
    except (QuotaExceeded, TooLarge):
        return "given_up"
    except Conflict:
        # Its own requests are changing it.
        return None
    except ObjectMissing:
        if file.touched_at >= stale_before or stores.objects.temp_exists(file.organization_id, file.file_id):
            return None
        # Aborted half-way: the parts are deleted, the row is open.
        end_as_failed(stores, file, NEVER_ARRIVED, WORKER)
        return "expired"
    return None


def _lease_runs(file: File) -> bool:
    return file.lease_expires_at > time.time()


def _check_temp(stores: Stores, key: str) -> str:
    """An old object of the temp bucket stays while its row waits for it; else it is deleted."""
    parsed = keys.parse_temp_key(key)
    if parsed is None:
        stores.objects.delete_stray(key)
        return "strays_deleted"
    file = stores.files.find(*parsed)
    if file is None or file.unrecoverable or (file.status == "completed" and not file.is_unfinished):
        stores.objects.delete_temp(*parsed)
        return "strays_deleted"
    return "left"
