"""The rows of the table invitations: shapes only."""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from chalicelib.platform.tables import ClientLimits


class InvitationRow(Model):
    class Meta(ClientLimits):
        table_name = "invitations"

    organization_id = UnicodeAttribute(hash_key=True)
    # Of an e-mail address, if there is one, so that it can't be invited twice (keys.py).
    invitation_id = UnicodeAttribute(range_key=True)
    token_hash = UnicodeAttribute()
    role = UnicodeAttribute()
    name = UnicodeAttribute(null=True)
    email = UnicodeAttribute(null=True)
    invited_by_type = UnicodeAttribute()
    invited_by_id = UnicodeAttribute()
    invited_by_name = UnicodeAttribute()
    created_at = UnicodeAttribute()
    expires_at = NumberAttribute()
    lifetime_seconds = NumberAttribute()
