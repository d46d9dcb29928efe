"""The twin of ``chalicelib.uploads.store.DirectUploadStore``."""

from __future__ import annotations

import base64
import hashlib

from chalicelib import keys
from chalicelib.kernel.errors import BadInput, ObjectMissing
from chalicelib.uploads.parts import MIN_PART_BYTES, Part, PresignedPost
from tests.memory.storage import TEMP_BUCKET, FormTerms, Multipart, PartTerms, Storage, checksum_of
from tests.memory.wire import Wire


class MemoryDirectUploads:
    bucket = TEMP_BUCKET
    origin = "memory://temp"

    def __init__(self, wire: Wire, storage: Storage) -> None:
        self._wire = wire
        self._storage = storage

    def presign_post(
        self,
        organization_id: str,
        file_id: str,
        *,
        least_bytes: int,
        most_bytes: int,
        content_type: str,
        sha256_hex: str | None,
        ttl_seconds: int,
    ) -> PresignedPost:
        key = keys.temp_key(organization_id, file_id)
        fields = {"key": key, "Content-Type": content_type}
        if sha256_hex is not None:
            fields["x-amz-checksum-sha256"] = base64.b64encode(bytes.fromhex(sha256_hex)).decode()
        terms = FormTerms(key, least_bytes, most_bytes, sha256_hex, fields)
        return PresignedPost("memory://temp", {**fields, "policy": self._storage.sign(terms, ttl_seconds)})

    def start_multipart(self, organization_id: str, file_id: str, content_type: str) -> str:
        self._wire.begin("start_multipart")
        upload_id = self._storage.new_id("upload")
        self._storage.multiparts[upload_id] = Multipart(keys.temp_key(organization_id, file_id))
        return upload_id

    def presign_part(
        self,
        organization_id: str,
        file_id: str,
        upload_id: str,
        number: int,
        *,
        exact_bytes: int | None,
        ttl_seconds: int,
        crc64nvme: str | None = None,
    ) -> str:
        key = keys.temp_key(organization_id, file_id)
        return self._storage.sign(PartTerms(key, upload_id, number, exact_bytes, crc64nvme), ttl_seconds)

    def parts(self, organization_id: str, file_id: str, upload_id: str) -> list[Part]:
        self._wire.begin("parts")
        return _arrived(self._upload(organization_id, file_id, upload_id))

    def complete(self, organization_id: str, file_id: str, upload_id: str, parts: list[Part]) -> bool:
        self._wire.begin("complete")
        upload = self._upload(organization_id, file_id, upload_id)
        _check(_arrived(upload), parts)
        if self._storage.find(upload.key) is not None:
            return True

        def assemble() -> None:
            del self._storage.multiparts[upload_id]
            digests = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts))
            body = b"".join(upload.parts[part.number] for part in parts)
            etag = f'"{digests.hexdigest()}-{len(parts)}"'
            self._storage.put(upload.key, body, etag=etag, crc64nvme=checksum_of(body))

        return self._wire.assemble(assemble)

    def abort(self, organization_id: str, file_id: str, upload_id: str) -> None:
        self._wire.begin("abort")
        upload = self._storage.multiparts.get(upload_id)
        if upload is not None and upload.key == keys.temp_key(organization_id, file_id):
            del self._storage.multiparts[upload_id]

    def has_arrived(self, organization_id: str, file_id: str) -> bool:
        return self.arrived_fingerprint(organization_id, file_id) is not None

    def arrived_fingerprint(self, organization_id: str, file_id: str) -> str | None:
        self._wire.begin("arrived_fingerprint")
        stored = self._storage.find(keys.temp_key(organization_id, file_id))
        return stored.etag if stored is not None else None

    def _upload(self, organization_id: str, file_id: str, upload_id: str) -> Multipart:
        upload = self._storage.multiparts.get(upload_id)
        if upload is None or upload.key != keys.temp_key(organization_id, file_id):
            raise ObjectMissing
        return upload


def _arrived(upload: Multipart) -> list[Part]:
    return [Part(number, len(body), hashlib.md5(body).hexdigest()) for number, body in sorted(upload.parts.items())]


def _check(arrived: list[Part], listed: list[Part]) -> None:
    """Refuses what storage refuses, in the words of the real one's catalogue, which clients may read."""
    if not listed:
        raise ValueError("At least one part has to be listed.")
    if [part.number for part in listed] != sorted({part.number for part in listed}):
        raise BadInput("The parts must be listed in ascending order.")
    known = {(part.number, part.etag) for part in arrived}
    if any((part.number, part.etag) not in known for part in listed):
        raise BadInput("A part is missing, or its ETag is not the one that storage gave for it.")
    sizes = {part.number: part.size_bytes for part in arrived}
    if any(sizes[part.number] < MIN_PART_BYTES for part in listed[:-1]):
        raise BadInput(f"Every part but the last needs at least {MIN_PART_BYTES} bytes.")
