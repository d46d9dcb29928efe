"""SHA-256 of a stream: of the whole and, where it is copied in parts, of each part as well."""

import hashlib

from chalicelib.processing.ports import CheckedBytes


class Digests:
    def __init__(self, part_bytes: int | None) -> None:
        """:param part_bytes: size of each part but the last; None when only the whole is asked for."""
        self._part_bytes = part_bytes
        self._whole = hashlib.sha256()
        self._part = hashlib.sha256()
        self._in_part_bytes = 0
        self._parts: list[str] = []
        self.size_bytes = 0

    def update(self, chunk: bytes) -> None:
        self._whole.update(chunk)
        self.size_bytes += len(chunk)
        if self._part_bytes is not None:
            self._update_parts(memoryview(chunk), self._part_bytes)

    def finish(self) -> CheckedBytes:
        if self._in_part_bytes:
            self._end_part()
        return CheckedBytes(self._whole.hexdigest(), tuple(self._parts))

    def _update_parts(self, chunk: memoryview, part_bytes: int) -> None:
        while chunk:
            piece = chunk[: part_bytes - self._in_part_bytes]
            self._part.update(piece)
            self._in_part_bytes += len(piece)
            if self._in_part_bytes == part_bytes:
                self._end_part()
            chunk = chunk[len(piece) :]

    def _end_part(self) -> None:
        self._parts.append(self._part.hexdigest())
        self._part, self._in_part_bytes = hashlib.sha256(), 0
