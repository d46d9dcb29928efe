"""The rows of the table counters: shape only."""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from chalicelib.platform.tables import ClientLimits


class CounterRow(Model):
    """One window of one limit of somebody. ``ends_at`` has fractions of a second, which TTL does not take."""

    class Meta(ClientLimits):
        table_name = "counters"
        # DynamoDB deletes a row up to days after that time, so the code compares the end as well.
        expires_by = "expires_at"

    counter = UnicodeAttribute(hash_key=True)
    hits = NumberAttribute()
    ends_at = NumberAttribute()
    expires_at = NumberAttribute()
