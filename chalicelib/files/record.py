"""One file of one organisation; a plain frozen record, no storage in it."""

from dataclasses import dataclass
from typing import Final, Literal

FileStatus = Literal["pending", "processing", "completed", "failed"]

FILE_STATUSES: Final = ("pending", "processing", "completed", "failed")

#: How the bytes come: with the request, by a presigned form, in parts of ours, in parts as Uppy cuts them.
UploadMethod = Literal["form", "post", "multipart", "uppy"]


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
