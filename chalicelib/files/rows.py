"""The rows of the files table and its indexes: shapes only."""

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from chalicelib.platform.tables import ClientLimits


class ByStatus(GlobalSecondaryIndex["FileRow"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_status"
        projection = AllProjection()

    status_key = UnicodeAttribute(hash_key=True)
    file_id = UnicodeAttribute(range_key=True)


class ByMimeType(GlobalSecondaryIndex["FileRow"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_mime_type"
        projection = AllProjection()

    mime_key = UnicodeAttribute(hash_key=True)
    file_id = UnicodeAttribute(range_key=True)


class ByStatusAndMimeType(GlobalSecondaryIndex["FileRow"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_status_and_mime_type"
        projection = AllProjection()

    status_mime_key = UnicodeAttribute(hash_key=True)
    file_id = UnicodeAttribute(range_key=True)


class Unfinished(GlobalSecondaryIndex["FileRow"]):  # type: ignore[no-untyped-call]
    """Rows that still have something to happen to them, oldest first; all others have no key here."""

    class Meta:
        index_name = "unfinished"
        projection = KeysOnlyProjection()

    unfinished_shard = UnicodeAttribute(hash_key=True)
    touched_at = UnicodeAttribute(range_key=True)


class FileRow(Model):
    class Meta(ClientLimits):
        table_name = "files"

    organization_id = UnicodeAttribute(hash_key=True)
    file_id = UnicodeAttribute(range_key=True)
    filename = UnicodeAttribute()
    object_name = UnicodeAttribute()
    status = UnicodeAttribute()
    file_size = NumberAttribute()
    uploaded_by_id = UnicodeAttribute()
    uploaded_by_username = UnicodeAttribute()
    created_at = UnicodeAttribute()
    touched_at = UnicodeAttribute()
    upload_method = UnicodeAttribute()
    reserved_bytes = NumberAttribute(default=0)
    size_is_exact = BooleanAttribute(default=True)
    declared_type = UnicodeAttribute(null=True)
    expected_sha256 = UnicodeAttribute(null=True)
    mime_type = UnicodeAttribute(null=True)
    sha256_hash = UnicodeAttribute(null=True)
    processed_at = UnicodeAttribute(null=True)
    error_message = UnicodeAttribute(null=True)
    unrecoverable = BooleanAttribute(default=False)
    attempts = NumberAttribute(default=0)
    lease_owner = UnicodeAttribute(null=True)
    lease_expires_at = NumberAttribute(default=0)
    object_version = UnicodeAttribute(null=True)
    multipart_upload_id = UnicodeAttribute(null=True)
    part_bytes = NumberAttribute(null=True)
    completing = BooleanAttribute(default=False)
    upload_expires_at = NumberAttribute(default=0)
    version = NumberAttribute(default=0)
    status_key = UnicodeAttribute(null=True)
    mime_key = UnicodeAttribute(null=True)
    status_mime_key = UnicodeAttribute(null=True)
    unfinished_shard = UnicodeAttribute(null=True)

    by_status = ByStatus()
    by_mime_type = ByMimeType()
    by_status_and_mime_type = ByStatusAndMimeType()
    unfinished = Unfinished()
