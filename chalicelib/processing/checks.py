"""Whether an upload is what was announced, and what its organisation takes."""

from chalicelib.files.record import File
from chalicelib.kernel.errors import PermanentFault
from chalicelib.processing.examining import Examined
from chalicelib.tenants.organization import Organization
from chalicelib.wiring import Stores


def check_size(stores: Stores, file: File, organization: Organization, size_bytes: int) -> None:
    """:raises PermanentFault: it is too large, or not as large as was announced."""
    most = min(stores.settings.max_direct_upload_bytes, organization.policy.max_file_bytes or size_bytes)
    if size_bytes > most:
        raise PermanentFault(f"The file has {size_bytes} bytes; at most {most} are allowed.", discard_bytes=True)
    if not file.size_is_exact and size_bytes <= file.file_size:
        return
    if size_bytes != file.file_size:
        raise PermanentFault(
            f"The upload has {size_bytes} bytes, not the {file.file_size} that were announced.",
            discard_bytes=True,
        )


def check_bytes(file: File, organization: Organization, examined: Examined) -> None:
    """:raises PermanentFault: they are others than announced, or of a type that the organisation refuses."""
    if examined.checked is not None:
        check_sha256(file, examined.checked.sha256)
    policy = organization.policy
    refusal = policy.refusal_of(examined.mime_type) or policy.refusal_of_name(file.filename, examined.mime_type)
    if refusal is not None:
        raise PermanentFault(refusal, discard_bytes=True)


def check_sha256(file: File, sha256: str) -> None:
    """:raises PermanentFault: it is not the announced one."""
    if file.expected_sha256 and file.expected_sha256 != sha256:
        raise PermanentFault(
            f"The SHA-256 of the upload is {sha256}, not the announced {file.expected_sha256}.",
            discard_bytes=True,
        )
