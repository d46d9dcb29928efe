"""The rows of published events: shapes only."""

from typing import Any

from pynamodb.attributes import ListAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from chalicelib.platform.tables import ClientLimits

#: Sequence of the row that says what has been done with an organisation's feed; events begin with 1.
STATE = 0


class SegmentRow(Model):
    """Events that were published at once, in their order. Its key is what makes the order gapless: the next one begins
    where this one ends, and of two that begin at the same place one is refused.
    """

    class Meta(ClientLimits):
        table_name = "events"
        expires_by = "expires_at"

    organization_id = UnicodeAttribute(hash_key=True)
    first_sequence = NumberAttribute(range_key=True)
    # Of the row of the state: up to which the events are sealed, so that the order goes on when all have expired.
    last_sequence = NumberAttribute()
    lines: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, default=list)
    published_at = UnicodeAttribute(null=True)
    expires_at = NumberAttribute(null=True)

    # Of the row of the state only.
    outbox_read_until = UnicodeAttribute(null=True)
    sealed_sha256 = UnicodeAttribute(null=True)
