"""The sweep: what stands behind every crash. It ends rows that were left open and deletes bytes that nobody owns.

It finds rows by an index of those that still have something to happen to them, never by a scan, and repairs them by the
same means as everyone else, so running it at any moment, or twice at once, is safe.
"""

import logging
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chalicelib import keys
from chalicelib.errors import Contended
from chalicelib.logic.processing import GAVE_UP, remove_leftovers
from chalicelib.records import File, timestamp
from chalicelib.stores.files import RemovedFile
from chalicelib.wiring import Stores

#: A form upload takes seconds; what is silent for longer than this is not coming by itself.
STALE_SECONDS = 15 * 60
#: Each start of processing counts; a file that crashes its worker every time must not go round for ever.
MAX_STARTS = 9
NEVER_ARRIVED = "The upload never arrived. Upload the file again."

_log = logging.getLogger(__name__)


def sweep(stores: Stores, *, stale_seconds: int = STALE_SECONDS) -> dict[str, int]:
    """Go through what is overdue.

    :returns: how often each thing was done: ``requeued``, ``expired``, ``failed``, ``deletions_finished``,
        ``strays_deleted``, ``left`` (not due after all).
    """
    done: Counter[str] = Counter()
    moment = datetime.now(UTC) - timedelta(seconds=stale_seconds)
    for item in stores.files.unfinished(timestamp(moment)):
        try:
            done[_finish(stores, item)] += 1
        except Contended:
            done["left"] += 1
    for key in stores.objects.temp_keys_before(moment):
        done[_check_temp(stores, key)] += 1
    _log.info("Swept: %s", dict(done) or "nothing to do")
    return dict(done)


def _finish(stores: Stores, item: File | RemovedFile) -> str:
    if isinstance(item, RemovedFile):
        if _lease_runs(item.file):
            return "left"
        remove_leftovers(stores, item)
        return "deletions_finished"
    if _lease_runs(item) or (item.status == "pending" and item.upload_expires_at > time.time()):
        return "left"
    if not stores.objects.temp_exists(item.organization_id, item.file_id):
        _end(stores, item, NEVER_ARRIVED)
        return "expired"
    if item.attempts >= MAX_STARTS:
        _end(stores, item, GAVE_UP)
        return "failed"
    # Touch first: if we die before announcing, the next sweep comes by again.
    stores.files.replace(item, item)
    stores.queue.announce(item.organization_id, item.file_id)
    return "requeued"


def _lease_runs(file: File) -> bool:
    return file.status == "processing" and file.lease_expires_at > time.time()


def _end(stores: Stores, file: File, reason: str) -> None:
    stores.objects.delete_permanent(file.organization_id, file.file_id, file.object_name)
    stores.files.replace(
        file,
        replace(
            file,
            status="failed",
            reserved_bytes=0,
            error_message=reason,
            processed_at=timestamp(),
            lease_owner=None,
            lease_expires_at=0,
        ),
    )


def _check_temp(stores: Stores, key: str) -> str:
    """An old object of the temp bucket is fine while its row waits for it; else it has no business there."""
    parsed = keys.parse_temp_key(key)
    if parsed is None:
        stores.objects.delete_stray(key)
        return "strays_deleted"
    file = stores.files.find(*parsed)
    if file is None or file.status == "completed" or file.unrecoverable:
        stores.objects.delete_temp(*parsed)
        return "strays_deleted"
    return "left"
