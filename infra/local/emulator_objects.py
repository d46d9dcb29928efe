"""MiniStack's objects, on disk only. Run by the emulator's own Python.

With S3_PERSIST the bytes of an object are a file, and yet stay in memory where the bucket keeps versions, as do the
parts of an upload until it is completed; those are lost by a restart besides.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

_UPLOAD = "upload.json"


def keep_versions_on_disk(s3: Any) -> None:
    """What is read of a version is its file then, as it is after a restart."""
    make_entry, persist = s3._version_entry_from_record, s3._persist_object

    def entry_without_bytes(record: Any, version_id: str, _: Any) -> Any:
        return make_entry(record, version_id, None)

    def persist_or_fail(bucket: str, key: str, record: Any) -> None:
        persist(bucket, key, record)
        if isinstance(record, dict) and record.get("body") is not None:
            # MiniStack would log that, answer 200 and keep the bytes in memory.
            raise OSError(f"The object {bucket}/{key} could not be written to the disk.")

    s3._version_entry_from_record = entry_without_bytes
    s3._persist_object = persist_or_fail


def announce_before_answering(s3: Any) -> None:
    """An object's message is in the queue when its upload is answered; MiniStack leaves that to a thread, which a kill
    ends. S3 takes its time as well, but does not forget."""
    later = s3._fire_s3_event_async

    def announce(bucket: str, key: str, event_name: str, *values: Any, **named: Any) -> None:
        if any(configuration["type"] != "sqs" for configuration in s3._parse_notification_config(bucket)):
            # Functions may call the emulator, which waits for us.
            later(bucket, key, event_name, *values, **named)
        elif bucket in s3._bucket_notifications:
            sequencer = s3._next_event_sequencer(event_name)
            s3._fire_s3_event(bucket, key, event_name, *values, sequencer=sequencer, **named)

    s3._fire_s3_event_async = announce


class _Part(dict[str, Any]):
    """A part without its bytes, which are read from the file when they are asked for."""

    def __init__(self, told: dict[str, Any], file: Path, start: int) -> None:
        super().__init__(told)
        self._file, self._start = file, start

    def __getitem__(self, name: str) -> Any:
        if name != "body":
            return super().__getitem__(name)
        with self._file.open("rb") as file:
            file.seek(self._start)
            return file.read()


class _Parts(dict[int, Any]):
    """The parts of an upload, each in a file: a line of JSON, then the bytes."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        for file in folder.glob("*.part"):
            with file.open("rb") as opened:
                told = json.loads(opened.readline())
                super().__setitem__(int(file.stem), _Part(told, file, opened.tell()))

    def __setitem__(self, number: int, part: dict[str, Any]) -> None:
        told = {name: value for name, value in part.items() if name != "body"}
        head = json.dumps(told).encode() + b"\n"
        file = self._folder / f"{number}.part"
        _write(file, head, part["body"])
        super().__setitem__(number, _Part(told, file, len(head)))


def keep_uploads_on_disk(s3: Any, folder: Path) -> Uploads:
    """Uploads in parts that are open are found again after a restart."""

    class DiskUploads(type(s3._multipart_uploads)):  # type: ignore[misc]
        __slots__ = ("ended",)

        def __init__(self) -> None:
            super().__init__()
            self.ended: list[Path] = []

        def __setitem__(self, upload_id: str, upload: dict[str, Any]) -> None:
            account = self._scoped(upload_id)[0]
            own = _folder_of(folder, account, upload_id)
            own.mkdir(parents=True, mode=0o700, exist_ok=True)
            told = {name: value for name, value in upload.items() if name != "parts"}
            _write(own / _UPLOAD, json.dumps([account, upload_id, told]).encode())
            super().__setitem__(upload_id, {**upload, "parts": _Parts(own)})

        def __delitem__(self, upload_id: str) -> None:
            self.ended.append(_folder_of(folder, self._scoped(upload_id)[0], upload_id))
            super().__delitem__(upload_id)

        def clear(self) -> None:
            self.ended += [_folder_of(folder, account, upload_id) for account, upload_id in self._data]
            super().clear()

    made = DiskUploads()
    for file in folder.glob(f"*/{_UPLOAD}"):
        account, upload_id, told = json.loads(file.read_bytes())
        made._data[(account, upload_id)] = {**told, "parts": _Parts(file.parent)}
    s3._multipart_uploads = made
    return Uploads(made)


class Uploads:
    def __init__(self, uploads: Any) -> None:
        self._uploads = uploads

    def forget_ended(self) -> None:
        """The object of a completed upload is a file only after MiniStack has forgotten the upload."""
        while self._uploads.ended:
            shutil.rmtree(self._uploads.ended.pop(), ignore_errors=True)


def _folder_of(folder: Path, account: str, upload_id: str) -> Path:
    # Ids are MiniStack's own, but come back in requests.
    return folder / hashlib.sha256(f"{account} {upload_id}".encode()).hexdigest()[:32]


def _write(file: Path, *pieces: bytes) -> None:
    """All of it or nothing."""
    written = file.with_suffix(".new")
    with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as opened:
        for piece in pieces:
            opened.write(piece)
    os.replace(written, file)
