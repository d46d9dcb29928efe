"""The rows of the api-keys table: shapes only."""

from typing import Any

from pynamodb.attributes import ListAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from chalicelib.platform.tables import ClientLimits


class ApiKeyRow(Model):
    class Meta(ClientLimits):
        table_name = "api-keys"
        expires_by = "vanishes_at"

    organization_id = UnicodeAttribute(hash_key=True)
    # The organisation has one more row, which is no key: see api_key_store.py.
    key_id = UnicodeAttribute(range_key=True)
    name = UnicodeAttribute()
    scopes: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, default=list)
    networks: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, default=list)
    made_by_type = UnicodeAttribute()
    made_by_id = UnicodeAttribute()
    made_by_name = UnicodeAttribute()
    created_at = UnicodeAttribute()
    expires_at = NumberAttribute(null=True)
    # When DynamoDB may delete the row: some time after the key has ended, so that people still see it.
    vanishes_at = NumberAttribute(null=True)
    secret_hash = UnicodeAttribute()
    old_secret_hash = UnicodeAttribute(null=True)
    old_secret_expires_at = NumberAttribute(default=0)
    revoked_at = NumberAttribute(null=True)
    last_used_hour = NumberAttribute(null=True)
    version = NumberAttribute(default=1)
