"""The worker: hashes a file, detects its type, moves it to its place."""

from __future__ import annotations

import hashlib
import os

import magic
import pylibmagic  # noqa: F401 - brings the library that the next one looks for
from celery import Celery

from benchmarks.plain.models import FOLDER, File, Session, now

celery = Celery("plain", broker=os.environ["CACHE_URL"])
celery.conf.update(task_ignore_result=True, task_acks_late=True, worker_prefetch_multiplier=1)
#: As in ours: libmagic takes longer to load than to look.
_detector = None


@celery.task(name="process")
def process(file_id: str) -> None:
    global _detector
    if _detector is None:
        _detector = magic.Magic(mime=True)
    with Session() as session:
        file = session.get(File, file_id)
        if file is None or file.status == "completed":
            return
        file.status = "processing"
        session.commit()
        incoming, size_bytes, digest, head = FOLDER / "incoming" / file_id, 0, hashlib.sha256(), b""
        with incoming.open("rb") as stream:
            while piece := stream.read(1024 * 1024):
                head = head or piece[:4096]
                size_bytes += len(piece)
                digest.update(piece)
        target = FOLDER / "files" / file.organization_id
        target.mkdir(parents=True, exist_ok=True)
        incoming.rename(target / file_id)
        file.status, file.file_size, file.sha256_hash = "completed", size_bytes, digest.hexdigest()
        file.mime_type, file.processed_at = _detector.from_buffer(head), now()
        session.commit()
