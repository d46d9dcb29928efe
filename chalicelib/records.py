"""What the product is about: organisations, users, sessions, files; plain frozen records, no storage in them."""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

FileStatus = Literal["pending", "processing", "completed", "failed"]
FILE_STATUSES: Final = ("pending", "processing", "completed", "failed")
UploadMethod = Literal["form", "post", "multipart"]


@dataclass(frozen=True)
class Caller:
    """Who is asking, made once by authentication; everything that reads a row or an object starts from it."""

    organization_id: str
    user_id: str
    username: str


@dataclass(frozen=True)
class Usage:
    """What an organisation holds and may hold. Failed files count towards neither."""

    bytes_used: int
    bytes_available: int
    files_used: int
    files_available: int


@dataclass(frozen=True)
class Policy:
    """Which files an organisation takes, by detected type.

    An entry is ``type/subtype`` or ``type/*``. Empty ``allowed_types`` allows every type; ``refused_types`` wins.
    """

    allowed_types: tuple[str, ...] = ()
    refused_types: tuple[str, ...] = ()
    max_file_bytes: int | None = None

    def refusal_of(self, mime_type: str) -> str | None:
        """The sentence that refuses this type, or None when it is welcome."""
        if _matches(mime_type, self.refused_types):
            return f"Files of type {mime_type} are refused by the organisation's policy."
        if self.allowed_types and not _matches(mime_type, self.allowed_types):
            allowed = ", ".join(self.allowed_types)
            return f"Files of type {mime_type} are not among those that the organisation takes: {allowed}."
        return None


def _matches(mime_type: str, patterns: tuple[str, ...]) -> bool:
    return mime_type in patterns or f"{mime_type.split('/')[0]}/*" in patterns


@dataclass(frozen=True)
class Organization:
    """``counts`` holds how many files there are of each ``status|mime type`` (``-`` while the type is unknown)."""

    organization_id: str
    name: str
    created_at: str
    quota_bytes: int
    quota_files: int
    usage: Usage
    policy: Policy
    counts: dict[str, int]
    #: How often usage or counts have changed.
    counter_changes: int
    #: Key of the MAC over this organisation's list cursors; never leaves the service.
    cursor_key: bytes = field(repr=False)

    def file_count(self, status: str | None = None, mime_type: str | None = None) -> int:
        """How many files match the filters, exactly."""
        total = 0
        for key, count in self.counts.items():
            counted_status, _, counted_type = key.partition("|")
            if status in (None, counted_status) and mime_type in (None, counted_type):
                total += count
        return total


@dataclass(frozen=True)
class User:
    """``live_sessions`` are ``<expiry epoch seconds>:<token hash>``, so that ending them all needs no search."""

    organization_id: str
    user_id: str
    username: str
    password_hash: str = field(repr=False)
    disabled: bool
    created_at: str
    live_sessions: tuple[str, ...] = field(default=(), repr=False)
    version: int = 1


@dataclass(frozen=True)
class Session:
    token_hash: str = field(repr=False)
    caller: Caller
    created_at: str
    expires_at: int
    #: Token hash of the session that this upload ticket was drawn from; None for a session itself.
    ticket_of: str | None = None


@dataclass(frozen=True)
class File:
    """One file of one organisation. Sizes in bytes, times ISO 8601 UTC."""

    organization_id: str
    file_id: str
    filename: str
    #: The filename at creation: part of the permanent key, so that renaming moves no bytes.
    object_name: str
    status: FileStatus
    file_size: int
    uploaded_by_id: str
    uploaded_by_username: str
    created_at: str
    touched_at: str
    upload_method: UploadMethod = "form"
    #: False while only an upper bound of the size is known, which ``file_size`` is until processing has measured it.
    size_is_exact: bool = True
    #: What the row holds of the organisation's quota: its size while it may complete, 0 once it failed.
    reserved_bytes: int = 0
    declared_type: str | None = None
    expected_sha256: str | None = None
    mime_type: str | None = None
    sha256_hash: str | None = None
    processed_at: str | None = None
    error_message: str | None = None
    #: Set when the bytes were discarded, so that nothing can bring the file back.
    unrecoverable: bool = False
    attempts: int = 0
    lease_owner: str | None = None
    lease_expires_at: int = 0
    #: S3's version id of the permanent object: what was checked is what is downloaded, whatever is written later.
    object_version: str | None = None
    multipart_upload_id: str | None = None
    part_bytes: int | None = None
    #: Storage was asked to put the parts together and had not answered in time; the sweep asks again.
    completing: bool = False
    #: Epoch seconds until when the bytes may still arrive.
    upload_expires_at: int = 0
    version: int = 0

    @property
    def is_open(self) -> bool:
        """Whether something still has to happen to it."""
        return self.status in ("pending", "processing")


def timestamp(moment: datetime | None = None) -> str:
    """ISO 8601 UTC with milliseconds and ``Z``, which sorts as text in the order of time."""
    moment = moment or datetime.now(UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def token_digest(token: str) -> str:
    """What is stored of a session token. The token has 256 random bits, so a plain hash can't be searched."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip("=")
