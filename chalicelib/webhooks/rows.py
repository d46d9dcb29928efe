"""The rows of webhooks and of their deliveries: shapes only."""

from typing import Any

from pynamodb.attributes import BooleanAttribute, JSONAttribute, ListAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

from chalicelib.platform.tables import ClientLimits


class ToWake(GlobalSecondaryIndex["WebhookRow"]):  # type: ignore[no-untyped-call]
    """Enabled webhooks by when somebody has to look at them; the others have no key in this index."""

    class Meta:
        index_name = "to_wake"
        projection = KeysOnlyProjection()

    wake_shard = UnicodeAttribute(hash_key=True)
    wake_at = NumberAttribute(range_key=True)


class WebhookRow(Model):
    class Meta(ClientLimits):
        table_name = "webhooks"

    organization_id = UnicodeAttribute(hash_key=True)
    # The organisation has one more row, which is no webhook: see store.py.
    webhook_id = UnicodeAttribute(range_key=True)
    url = UnicodeAttribute()
    types: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, null=True)
    scopes: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, default=list)
    description = UnicodeAttribute(default="")
    created_at = UnicodeAttribute()
    # As they are, not hashed: signing needs them.
    secret = UnicodeAttribute()
    old_secret = UnicodeAttribute(null=True)
    old_secret_expires_at = NumberAttribute(default=0)
    enabled = BooleanAttribute(default=True)
    disabled_at = NumberAttribute(null=True)
    disabled_reason = UnicodeAttribute(null=True)
    version = NumberAttribute(default=1)

    # How far delivering has come.
    position = NumberAttribute(default=0)
    failing_since = NumberAttribute(null=True)
    quiet_until = NumberAttribute(default=0)
    replay_id = UnicodeAttribute(null=True)
    replay_position = NumberAttribute(null=True)
    replay_until = NumberAttribute(null=True)
    lease = UnicodeAttribute(null=True)
    lease_until = NumberAttribute(default=0)
    wakes = NumberAttribute(default=0)
    wake_shard = UnicodeAttribute(null=True)
    wake_at = NumberAttribute(null=True)

    to_wake = ToWake()


class DeliveryRow(Model):
    class Meta(ClientLimits):
        table_name = "webhook-deliveries"
        expires_by = "expires_at"

    partition = UnicodeAttribute(hash_key=True)
    # The event's sequence with leading zeros; of what is due, the moment before it.
    place = UnicodeAttribute(range_key=True)
    event_id = UnicodeAttribute()
    event_type = UnicodeAttribute()
    created_at = UnicodeAttribute()
    status = UnicodeAttribute()
    attempts = NumberAttribute(default=0)
    tries = JSONAttribute(default=list)
    next_try_at = NumberAttribute(null=True)
    expires_at = NumberAttribute()


class DueRow(Model):
    """That a delivery is to be tried at a moment: in a partition of its own, in the order of time.

    No index, because an index lags behind its table, and a try that it does not show yet would be forgotten.
    """

    class Meta(ClientLimits):
        table_name = "webhook-deliveries"
        expires_by = "expires_at"

    partition = UnicodeAttribute(hash_key=True)
    place = UnicodeAttribute(range_key=True)
    expires_at = NumberAttribute()
