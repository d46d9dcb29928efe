"""The rows of the files table and its indexes: shapes only."""

from typing import Any

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from chalicelib.files.record import File
from chalicelib.platform.columns import columns_of
from chalicelib.platform.tables import ClientLimits


class ByStatus(GlobalSecondaryIndex["FileRow"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_status"
        projection = AllProjection()

    status_key = UnicodeAttribute(hash_key=True)
    file_id = UnicodeAttribute(range_key=True)


class ByMimeType(GlobalSecondaryIndex["FileRow"]):  # type: ignore[no-untyped-call]
    """Completed files. No other has a type: processing writes it with the status, and a retry clears it."""

    class Meta:
        index_name = "by_mime_type"
        projection = AllProjection()

    mime_key = UnicodeAttribute(hash_key=True)
    file_id = UnicodeAttribute(range_key=True)


class Unfinished(GlobalSecondaryIndex["FileRow"]):  # type: ignore[no-untyped-call]
    """Open files and deletion notes, oldest first; other rows have no key in this index."""

    class Meta:
        index_name = "unfinished"
        projection = KeysOnlyProjection()

    unfinished_shard = UnicodeAttribute(hash_key=True)
    touched_at = UnicodeAttribute(range_key=True)


_FileColumns: Any = type(
    "_FileColumns", (Model,), dict(columns_of(File, partition_key="organization_id", sort_key="file_id"))
)


class FileRow(_FileColumns):  # type: ignore[misc]
    """The columns of a file are those of its record; beside them are only the keys of the indexes."""

    class Meta(ClientLimits):
        table_name = "files"

    status_key = UnicodeAttribute(null=True)
    mime_key = UnicodeAttribute(null=True)
    unfinished_shard = UnicodeAttribute(null=True)

    by_status = ByStatus()
    by_mime_type = ByMimeType()
    unfinished = Unfinished()


class OpenUploadsRow(Model):
    """The direct uploads that one user has open. In the table of files, in a partition that no listing reads."""

    class Meta(ClientLimits):
        table_name = "files"

    partition = UnicodeAttribute(hash_key=True, attr_name="organization_id")
    user_id = UnicodeAttribute(range_key=True, attr_name="file_id")
    # Absent while it is empty, as every set of DynamoDB.
    file_ids = UnicodeSetAttribute(null=True)
    bytes_open = NumberAttribute(default=0)
    # Set while the user is disabled: no upload starts.
    closed = BooleanAttribute(default=False)
