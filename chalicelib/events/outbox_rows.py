"""The rows of events that may not be published yet: shapes only."""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from chalicelib.platform.tables import ClientLimits


class OutboxRow(Model):
    """Written with the change, read once by the publisher from the table's stream, deleted by DynamoDB's TTL."""

    class Meta(ClientLimits):
        table_name = "event-outbox"
        expires_by = "expires_at"
        stream = "NEW_IMAGE"

    partition = UnicodeAttribute(hash_key=True)
    # Time and id, so that what was missed since a moment is one query.
    moment = UnicodeAttribute(range_key=True)
    told = UnicodeAttribute()
    expires_at = NumberAttribute()
