"""The twin of ``chalicelib.platform.objects.ObjectStore``."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import datetime

from chalicelib import keys
from chalicelib.kernel.content import Content, rewound, sha256_of
from chalicelib.kernel.errors import CopyGone, ObjectChanged
from chalicelib.processing.ports import CheckedBytes, TempObject
from tests.memory.storage import TEMP_BUCKET, DownloadTerms, LongCopy, Storage, Stored, checksum_of
from tests.memory.wire import Wire

CHUNK_BYTES = 1024 * 1024
_HTTP_METHODS = {"get_object": "GET", "head_object": "HEAD"}


class MemoryObjects:
    """:param copy_whole_bytes: what is larger is copied in parts of ``copy_part_bytes`` each."""

    chunk_bytes = CHUNK_BYTES

    def __init__(
        self, wire: Wire, storage: Storage, copy_whole_bytes: int = 5 * 1024**3, copy_part_bytes: int = 512 * 1024**2
    ) -> None:
        self._wire = wire
        self._storage = storage
        self._copy_whole_bytes = copy_whole_bytes
        self._copy_part_bytes = copy_part_bytes

    download_origin = "memory://permanent"

    def is_temp_bucket(self, name: str) -> bool:
        return name == TEMP_BUCKET

    def put_temp(self, organization_id: str, file_id: str, body: Content, sha256_hex: str) -> None:
        self._wire.begin("put_temp")
        if sha256_of(body) != sha256_hex:
            raise ValueError("The bytes have another SHA-256.")
        sent = rewound(body)
        stored = sent if isinstance(sent, bytes) else sent.read()
        self._storage.put(keys.temp_key(organization_id, file_id), stored, sha256_hex=sha256_hex)

    @contextmanager
    def open_temp(
        self, organization_id: str, file_id: str, *, first_byte: int = 0, etag: str | None = None
    ) -> Iterator[TempObject]:
        self._wire.begin("open_temp")
        key = keys.temp_key(organization_id, file_id)
        stored = self._storage.get(key)
        if etag not in (None, stored.etag):
            raise ObjectChanged
        size_bytes = len(stored.body)
        part_bytes = self._copy_part_bytes if size_bytes > self._copy_whole_bytes else None
        chunks = self._read(key, stored, first_byte)
        whole = first_byte == 0
        try:
            yield TempObject(
                stored.etag,
                size_bytes,
                stored.verified_sha256 if whole else None,
                chunks,
                part_bytes,
                stored.verified_crc64nvme if whole else None,
            )
        finally:
            chunks.close()

    def _read(self, key: str, opened: Stored, first_byte: int) -> Generator[bytes, None, None]:
        for start in range(first_byte, len(opened.body), self.chunk_bytes):
            if start > first_byte and self._wire.breaks and self._storage.get(key).etag != opened.etag:
                raise ObjectChanged
            chunk = opened.body[start : start + self.chunk_bytes]
            self._storage.bytes_read += len(chunk)
            self._storage.with_each_piece()
            yield chunk

    def temp_exists(self, organization_id: str, file_id: str) -> bool:
        self._wire.begin("temp_exists")
        return self._storage.find(keys.temp_key(organization_id, file_id)) is not None

    def delete_temp(self, organization_id: str, file_id: str) -> None:
        self._wire.begin("delete_temp")
        self._storage.delete_temp(keys.temp_key(organization_id, file_id))

    def delete_stray(self, key: str) -> None:
        self._wire.begin("delete_stray")
        self._storage.delete_temp(key)

    def temp_keys_before(self, moment: datetime) -> Iterator[str]:
        self._wire.begin("temp_keys_before")
        yield from self._storage.temp_keys_before(moment)

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
        self._wire.begin("copy_to_permanent")
        stored = self._storage.get(keys.temp_key(organization_id, file_id))
        part_bytes = source.copy_part_bytes
        wanted = (checked.sha256,) if part_bytes is None else checked.part_sha256
        if stored.etag != source.etag or _sha256_of_parts(stored.body, part_bytes) != wanted:
            raise ObjectChanged
        return self._storage.add_version(
            keys.permanent_key(organization_id, file_id, name),
            Stored(stored.body, stored.etag, content_type, disposition),
        )

    def begin_copy(self, organization_id: str, file_id: str, name: str, *, content_type: str, disposition: str) -> str:
        self._wire.begin("begin_copy")
        copy_id = self._storage.new_id("copy")
        key = keys.permanent_key(organization_id, file_id, name)
        self._storage.copies[copy_id] = LongCopy(key, content_type, disposition)
        return copy_id

    def copy_parts(
        self,
        organization_id: str,
        file_id: str,
        name: str,
        copy_id: str,
        source: TempObject,
        time_is_up: Callable[[], bool],
    ) -> bool:
        self._wire.begin("copy_parts")
        copy = self._copy(organization_id, file_id, name, copy_id)
        stored = self._storage.get(keys.temp_key(organization_id, file_id))
        if stored.etag != source.etag:
            raise ObjectChanged
        begun = False
        for number, start in enumerate(range(0, len(stored.body), self._copy_part_bytes), start=1):
            if number in copy.parts:
                continue
            if begun and time_is_up():
                return False
            begun = True
            self._storage.with_each_piece()
            copy.parts[number] = stored.body[start : start + self._copy_part_bytes]
        return True

    def finish_copy(
        self, organization_id: str, file_id: str, name: str, copy_id: str, source: TempObject
    ) -> str | None:
        self._wire.begin("finish_copy")
        copy = self._copy(organization_id, file_id, name, copy_id)
        del self._storage.copies[copy_id]
        body = b"".join(part for _, part in sorted(copy.parts.items()))
        if checksum_of(body) != source.verified_crc64nvme:
            raise ObjectChanged
        return self._storage.add_version(copy.key, Stored(body, source.etag, copy.content_type, copy.disposition))

    def abort_copy(self, organization_id: str, file_id: str, name: str, copy_id: str) -> None:
        self._wire.begin("abort_copy")
        self._storage.copies.pop(copy_id, None)

    def _copy(self, organization_id: str, file_id: str, name: str, copy_id: str) -> LongCopy:
        copy = self._storage.copies.get(copy_id)
        if copy is None or copy.key != keys.permanent_key(organization_id, file_id, name):
            raise CopyGone
        return copy

    def delete_permanent(self, organization_id: str, file_id: str, name: str) -> str | None:
        self._wire.begin("delete_permanent")
        return self._storage.add_version(keys.permanent_key(organization_id, file_id, name), None)

    def delete_permanent_version(self, organization_id: str, file_id: str, name: str, version: str) -> None:
        self._wire.begin("delete_permanent_version")
        self._storage.delete_version(keys.permanent_key(organization_id, file_id, name), version)

    def make_current(self, organization_id: str, file_id: str, name: str, version: str) -> int:
        self._wire.begin("make_current")
        return self._storage.make_latest(keys.permanent_key(organization_id, file_id, name), version)

    def delete_permanent_of(self, organization_id: str, file_id: str) -> None:
        self._wire.begin("delete_permanent_of")
        prefix = keys.permanent_prefix(organization_id, file_id)
        for key in self._storage.permanent():
            if key.startswith(prefix):
                self._storage.add_version(key, None)

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
        key = keys.permanent_key(organization_id, file_id, name)
        terms = DownloadTerms(key, version, _HTTP_METHODS[method], content_type, disposition)
        return f"{self.download_origin}/{self._storage.sign(terms, ttl_seconds)}"

    def is_reachable(self) -> bool:
        return self._wire.is_up("storage")


def _sha256_of_parts(body: bytes, part_bytes: int | None) -> tuple[str, ...]:
    starts = [0] if part_bytes is None else range(0, len(body), part_bytes)
    return tuple(hashlib.sha256(body[start : start + (part_bytes or len(body))]).hexdigest() for start in starts)
