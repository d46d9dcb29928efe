"""What storage takes and tells of uploads that go straight to it. Apart from the store: it loads no AWS client."""

from dataclasses import dataclass

#: S3 numbers parts from 1 to 10,000; each has at least 5 MiB but for the last (AWS limits).
MAX_PARTS = 10_000
MIN_PART_BYTES = 5 * 1024 * 1024


@dataclass(frozen=True)
class PresignedPost:
    url: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Part:
    """A part that has arrived. ``etag`` is without quotes."""

    number: int
    size_bytes: int
    etag: str
