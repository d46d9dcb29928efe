"""What has arrived of a file and is not processed yet."""

from chalicelib.files.record import File
from chalicelib.wiring import Stores


def discard_upload(stores: Stores, file: File) -> None:
    """Delete what has arrived in the temp bucket, whole or in parts. Repeatable."""
    if file.multipart_upload_id is not None and file.attempts == 0:
        stores.direct_uploads.abort(file.organization_id, file.file_id, file.multipart_upload_id)
    stores.objects.delete_temp(file.organization_id, file.file_id)
