"""One file of one organisation; a plain frozen record, no storage in it."""

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from chalicelib.kernel.caller import ActorType
from chalicelib.kernel.fields import NULLABLE_TEXT, resets, shown, shown_property, to_json

FileStatus = Literal["pending", "processing", "completed", "failed"]

FILE_STATUSES: Final = ("pending", "processing", "completed", "failed")

#: Of a SHA-256 that one invocation can't compute: being computed; given up after failures; not computed here at all.
Hashing = Literal["pending", "failed", "off"]

_BASE64_OF_8_BYTES = "^[A-Za-z0-9+/]{11}=$"

#: How the bytes arrive: in the request, by a presigned form, in parts planned by the API, in parts cut by Uppy.
UploadMethod = Literal["form", "post", "multipart", "uppy"]


@dataclass(frozen=True, kw_only=True)
class File:
    """One file of one organisation. Sizes in bytes, times ISO 8601 UTC.

    The only description of the record: the columns of its row, its JSON, the OpenAPI schema and what a retry resets
    are made from it. A field that is ``shown`` is part of the contract.
    """

    organization_id: str
    file_id: str = shown({"type": "string", "format": "uuid"}, name="id")
    filename: str = shown(
        {
            "description": "The name that was sent, without path parts, control characters and anything but letters,"
            " digits, space, `.`, `-` and `_`.",
            "type": "string",
            "minLength": 1,
            "maxLength": 255,
        }
    )
    status: FileStatus = shown({"$ref": "#/components/schemas/Status"})
    file_size: int = shown(
        {
            "description": "In bytes. Null while a direct upload has not said its size.",
            "type": ["integer", "null"],
            "minimum": 0,
        },
        # Until it is measured, a size that was not announced is only an upper bound.
        null_unless="size_is_exact",
    )
    mime_type: str | None = shown(
        {"description": "Detected from the bytes.", **NULLABLE_TEXT},
        default=None,
        reset=True,
    )
    declared_type: str | None = shown(
        {"description": "What the upload said of its type.", **NULLABLE_TEXT}, default=None
    )
    sha256_hash: str | None = shown({**NULLABLE_TEXT, "pattern": "^[0-9a-f]{64}$"}, default=None)
    created_at: str = shown({"$ref": "#/components/schemas/Time"})
    processed_at: str | None = shown(
        {"oneOf": [{"$ref": "#/components/schemas/Time"}, {"type": "null"}]}, default=None, reset=True
    )
    error_message: str | None = shown(
        {
            "description": "Why it failed, for people. Only of a failed file.",
            "type": "string",
            "minLength": 1,
        },
        default=None,
        reset=True,
        only_of="failed",
    )
    #: The filename at creation: part of the permanent key, so that renaming moves no bytes.
    object_name: str
    uploaded_by_id: str
    uploaded_by_username: str
    touched_at: str
    #: ``user`` or ``api_key``; of a key, id and name stand in the fields above.
    uploaded_by_type: str = ActorType.USER.value
    upload_method: UploadMethod = "form"
    #: False while only an upper bound of the size is known, which ``file_size`` is until processing has measured it.
    size_is_exact: bool = True
    #: Bytes reserved in the organisation's quota: the size while the file may complete, 0 once it failed.
    reserved_bytes: int = 0
    expected_sha256: str | None = None
    #: Set when the bytes were deleted, so that the file cannot be retried.
    unrecoverable: bool = False
    attempts: int = 0
    lease_owner: str | None = None
    lease_expires_at: int = 0
    #: S3's version id of the permanent object, so that a download returns the checked bytes whatever is written later.
    object_version: str | None = None
    #: Base64 of the CRC64NVME of all bytes, as S3 verified it.
    crc64nvme: str | None = None
    hashing: Hashing | None = None
    #: Of a SHA-256 under way: the state after the first ``hashed_bytes``, and the ETag of the object they are of.
    hash_state: str | None = None
    hashed_bytes: int = 0
    hashed_fingerprint: str | None = None
    #: S3's name of a copy in parts that goes on over several invocations.
    copy_upload_id: str | None = None
    multipart_upload_id: str | None = None
    part_bytes: int | None = None
    #: Storage was asked to assemble the parts and did not answer in time; the sweep asks again.
    completing: bool = False
    #: Epoch seconds until which the bytes may arrive.
    upload_expires_at: int = 0
    #: Whether it is on its user's list of open uploads. Kept by the store, which knows by it what to take back.
    listed_as_open: bool = False
    #: ETag of the bytes that had arrived when the uploader was disabled; others are refused. None: any will do.
    accepted_fingerprint: str | None = None
    version: int = 0

    @shown_property(
        {
            "description": "Checksums of all its bytes that were verified, each null where there is none: `sha256` in"
            " hexadecimal as `sha256_hash`, `crc64nvme` in base64 as S3 writes it.",
            "type": "object",
            "required": ["sha256", "crc64nvme"],
            "properties": {
                "sha256": {**NULLABLE_TEXT, "pattern": "^[0-9a-f]{64}$"},
                "crc64nvme": {**NULLABLE_TEXT, "pattern": _BASE64_OF_8_BYTES},
            },
        },
        required=False,
    )
    def checksums(self) -> dict[str, str | None]:
        return {"sha256": self.sha256_hash, "crc64nvme": self.crc64nvme}

    @shown_property(
        {
            "description": "Why `sha256_hash` is null, of a file too large to be hashed at once: it is being computed"
            " (`pending`), could not be (`failed`), or is not computed for files so large (`off`). Else null.",
            "oneOf": [
                {
                    "type": "object",
                    "required": ["status", "bytes_done"],
                    "properties": {
                        "status": {"enum": ["pending", "failed", "off"]},
                        "bytes_done": {"type": "integer", "minimum": 0},
                    },
                },
                {"type": "null"},
            ],
        },
        required=False,
    )
    def sha256(self) -> dict[str, Any] | None:
        return {"status": self.hashing, "bytes_done": self.hashed_bytes} if self.hashing is not None else None

    def reset(self, **changes: Any) -> "File":
        """The file as a new attempt at processing finds it: in its quota again, without what the last one found."""
        return replace(self, **{"reserved_bytes": self.file_size, **resets(File), **changes})

    @property
    def is_open(self) -> bool:
        """Whether it waits for bytes or for processing."""
        return self.status in ("pending", "processing")

    @property
    def is_unfinished(self) -> bool:
        """Whether something is still to happen to it by itself: it is open, or its SHA-256 is due."""
        return self.is_open or self.hashing == "pending"

    @property
    def is_being_hashed(self) -> bool:
        """Whether a worker has it for the SHA-256 that is due after its completion."""
        return self.status == "completed" and self.lease_owner is not None

    @property
    def awaits_bytes(self) -> bool:
        """Whether it is a direct upload whose bytes processing has not seen yet."""
        return self.status == "pending" and self.upload_method != "form" and self.attempts == 0


@dataclass(frozen=True)
class RemovedFile:
    """A deleted file whose objects may still be there. ``partition``: of the row that says so."""

    file: File
    partition: str


def details(file: File) -> dict[str, Any]:
    """The file as the API shows it when it is asked for this one, and as events tell of it."""
    uploader = {"type": file.uploaded_by_type, "id": file.uploaded_by_id, "name": file.uploaded_by_username}
    if file.uploaded_by_type == ActorType.USER:
        uploader["username"] = file.uploaded_by_username
    return {**to_json(file), "uploaded_by": uploader}
