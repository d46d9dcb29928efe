"""The JSON of what several routes answer with."""

from typing import Any

from chalicelib.files.record import File


def file_json(file: File) -> dict[str, Any]:
    """The contract's file record."""
    record: dict[str, Any] = {
        "id": file.file_id,
        "filename": file.filename,
        "status": file.status,
        # Until it is measured, a size that nobody announced is only a bound.
        "file_size": file.file_size if file.size_is_exact else None,
        "mime_type": file.mime_type,
        "declared_type": file.declared_type,
        "sha256_hash": file.sha256_hash,
        "created_at": file.created_at,
        "processed_at": file.processed_at,
    }
    if file.status == "failed":
        record["error_message"] = file.error_message
    return record
