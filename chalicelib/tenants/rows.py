"""The rows of the organizations table: shapes only."""

from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.models import Model

from chalicelib.platform.tables import ClientLimits


class OrganizationRow(Model):
    class Meta(ClientLimits):
        table_name = "organizations"
        expires_by = "forgotten_at"

    organization_id = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute()
    created_at = UnicodeAttribute()
    quota_bytes = NumberAttribute()
    quota_files = NumberAttribute()
    bytes_used = NumberAttribute(default=0)
    files_used = NumberAttribute(default=0)
    # Stored beside what is used: a DynamoDB condition can compare it with a size, but cannot subtract.
    bytes_available = NumberAttribute()
    files_available = NumberAttribute()
    # Two changes can cancel out in the counters, but not here: a recount needs to know that there were changes.
    counter_changes = NumberAttribute(default=0)
    # Of name, policy, quota and requirement, which people and operators change; absent in rows from before it existed.
    version = NumberAttribute(default=0)
    # Users who are owners and not disabled. A condition on it keeps the last one.
    owners = NumberAttribute(default=0)
    # Null in rows from before there were second factors.
    require_second_factor = BooleanAttribute(null=True)
    counts: MapAttribute[str, Any] = MapAttribute(default=dict)  # type: ignore[no-untyped-call]
    # Completed files whose SHA-256 a worker is computing; absent until there was one.
    being_hashed = NumberAttribute(null=True)
    allowed_types: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, default=list)
    refused_types: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, default=list)
    max_file_bytes = NumberAttribute(null=True)
    match_extension = BooleanAttribute(null=True)
    # Of a deleted one, whose row stays until its events have been kept for their time: they are still to be sealed.
    deleted_at = UnicodeAttribute(null=True)
    forgotten_at = NumberAttribute(null=True)
