"""What S3 is to the product: two buckets, uploads in parts, and what its clients do with what was signed for them."""

from __future__ import annotations

import base64
import hashlib
import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

from chalicelib.kernel.errors import ObjectMissing
from chalicelib.uploads.parts import PresignedPost

TEMP_BUCKET = "memory-temp"


@dataclass(frozen=True)
class Stored:
    body: bytes
    etag: str
    content_type: str = ""
    disposition: str = ""
    #: Hex, when whoever sent it sent its SHA-256 too.
    verified_sha256: str | None = None
    #: Of an upload in parts.
    verified_crc64nvme: str | None = None
    arrived_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def checksum_of(body: bytes) -> str:
    """What stands for the CRC64NVME here, in its form: it tells other bytes, and takes no library."""
    return base64.b64encode(hashlib.sha256(body).digest()[:8]).decode()


@dataclass(frozen=True)
class Version:
    """``stored`` None: the mark of a deletion, which hides what is below it."""

    version_id: str
    stored: Stored | None


@dataclass
class Multipart:
    key: str
    #: Number -> bytes.
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class LongCopy:
    key: str
    content_type: str
    disposition: str
    #: Number -> bytes.
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Download:
    """What a client gets for a URL."""

    body: bytes
    content_type: str
    disposition: str


@dataclass(frozen=True)
class FormTerms:
    key: str
    least_bytes: int
    most_bytes: int
    sha256_hex: str | None
    #: All that the client has to send, unchanged.
    fields: dict[str, str]


@dataclass(frozen=True)
class PartTerms:
    key: str
    upload_id: str
    number: int
    exact_bytes: int | None
    crc64nvme: str | None = None


@dataclass(frozen=True)
class DownloadTerms:
    key: str
    version: str | None
    http_method: str
    content_type: str
    disposition: str


Terms = FormTerms | PartTerms | DownloadTerms


class Storage:
    """:param hear_of: is told the key of each object that arrives in the temp bucket."""

    def __init__(self, hear_of: Callable[[str], None]) -> None:
        self._hear_of = hear_of
        self._ids = itertools.count(1)
        self._temp: dict[str, Stored] = {}
        #: Key -> versions, the current one last.
        self._permanent: dict[str, list[Version]] = {}
        self._signed: dict[str, tuple[Terms, float]] = {}
        #: By upload id.
        self.multiparts: dict[str, Multipart] = {}
        #: Of the permanent bucket, by the copy's id.
        self.copies: dict[str, LongCopy] = {}
        #: What happens with each piece of an upload that is read, or part that is copied.
        self.with_each_piece: Callable[[], None] = lambda: None
        #: Of uploads, by whoever opened them.
        self.bytes_read = 0

    # ---- what is there -------------------------------------------------------------------------------------------
    def temp(self) -> dict[str, bytes]:
        return {key: stored.body for key, stored in sorted(self._temp.items())}

    def permanent(self) -> dict[str, bytes]:
        """What can be read without naming a version."""
        current = {key: versions[-1].stored for key, versions in sorted(self._permanent.items()) if versions}
        return {key: stored.body for key, stored in current.items() if stored is not None}

    def versions(self) -> list[str]:
        """The ids of all copies that are kept, marks of deletions aside."""
        kept = itertools.chain.from_iterable(self._permanent.values())
        return [version.version_id for version in kept if version.stored is not None]

    def headers(self, key: str) -> tuple[str, str]:
        """Content type and disposition that the current copy leaves with, by whichever URL."""
        stored = self._permanent[key][-1].stored
        assert stored is not None
        return stored.content_type, stored.disposition

    def find(self, key: str) -> Stored | None:
        """In the temp bucket."""
        return self._temp.get(key)

    def get(self, key: str) -> Stored:
        """:raises ObjectMissing: the temp bucket has no such object."""
        if key not in self._temp:
            raise ObjectMissing
        return self._temp[key]

    def temp_keys_before(self, moment: datetime) -> list[str]:
        return sorted(key for key, stored in self._temp.items() if stored.arrived_at < moment)

    # ---- what changes it -----------------------------------------------------------------------------------------
    def new_id(self, kind: str) -> str:
        return f"{kind}-{next(self._ids)}"

    def put(
        self,
        key: str,
        body: bytes,
        *,
        sha256_hex: str | None = None,
        etag: str | None = None,
        crc64nvme: str | None = None,
    ) -> None:
        """An object arrives in the temp bucket, whoever sends it."""
        etag = etag or f'"{hashlib.md5(body).hexdigest()}"'
        self._temp[key] = Stored(body, etag, verified_sha256=sha256_hex, verified_crc64nvme=crc64nvme)
        self._hear_of(key)

    def delete_temp(self, key: str) -> None:
        self._temp.pop(key, None)

    def add_version(self, key: str, stored: Stored | None) -> str:
        version = Version(self.new_id("version"), stored)
        self._permanent.setdefault(key, []).append(version)
        return version.version_id

    def delete_version(self, key: str, version_id: str) -> None:
        self._permanent[key] = [v for v in self._permanent.get(key, []) if v.version_id != version_id]

    def make_latest(self, key: str, version_id: str) -> int:
        """:returns: how many versions were after it, and are not any more."""
        versions = self._permanent.get(key, [])
        ids = [version.version_id for version in versions]
        later = len(versions) - 1 - ids.index(version_id) if version_id in ids else 0
        self._permanent[key] = versions[: len(versions) - later]
        return later

    def sign(self, terms: Terms, ttl_seconds: int) -> str:
        """:returns: what nobody can guess and only this storage can read, as a signature is."""
        token = self.new_id("signed")
        self._signed[token] = terms, time.time() + ttl_seconds
        return token

    # ---- what clients do -----------------------------------------------------------------------------------------
    def _terms(self, address: str) -> Terms | None:
        terms, expires_at = self._signed.get(address.rpartition("/")[2], (None, 0.0))
        return terms if time.time() < expires_at else None

    def send_form(self, form: PresignedPost, body: bytes, **changed: str) -> bool:
        """POST the form with this file, with some of its fields changed. Whether storage takes it."""
        fields = {**form.fields, **changed}
        terms = self._terms(fields.pop("policy"))
        if not isinstance(terms, FormTerms) or fields != terms.fields:
            return False
        if not terms.least_bytes <= len(body) <= terms.most_bytes:
            return False
        if terms.sha256_hex not in (None, hashlib.sha256(body).hexdigest()):
            return False
        self.put(terms.key, body, sha256_hex=terms.sha256_hex)
        return True

    def send_part(self, url: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> bool:
        """PUT one part to its URL. Whether storage takes it."""
        terms = self._terms(url)
        if not isinstance(terms, PartTerms) or terms.exact_bytes not in (None, len(body)):
            return False
        if terms.crc64nvme not in (None, checksum_of(body)):
            return False
        if headers.get("x-amz-checksum-crc64nvme") != terms.crc64nvme:
            return False
        upload = self.multiparts.get(terms.upload_id)
        if upload is None or upload.key != terms.key:
            return False
        upload.parts[terms.number] = body
        return True

    def download(self, url: str, http_method: str = "GET") -> Download | None:
        """Ask for a URL. None: storage refuses, or has nothing there."""
        terms = self._terms(url)
        if not isinstance(terms, DownloadTerms) or terms.http_method != http_method:
            return None
        versions = self._permanent.get(terms.key, [])
        asked = versions[-1:] if terms.version is None else [v for v in versions if v.version_id == terms.version]
        stored = asked[0].stored if asked else None
        if stored is None:
            return None
        return Download(stored.body if http_method == "GET" else b"", terms.content_type, terms.disposition)
