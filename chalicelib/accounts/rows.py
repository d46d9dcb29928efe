"""The rows of the tables users, usernames and sessions: shapes only."""

from typing import Any

from pynamodb.attributes import BooleanAttribute, ListAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.models import Model

from chalicelib.platform.tables import ClientLimits


class UserRow(Model):
    class Meta(ClientLimits):
        table_name = "users"

    organization_id = UnicodeAttribute(hash_key=True)
    user_id = UnicodeAttribute(range_key=True)
    username = UnicodeAttribute()
    password_hash = UnicodeAttribute()
    disabled = BooleanAttribute(default=False)
    created_at = UnicodeAttribute()
    # Null in rows from before there were roles.
    role = UnicodeAttribute(null=True)
    live_sessions: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, default=list)
    version = NumberAttribute(default=1)
    # Null without a second factor; the pending secret until it is confirmed.
    totp_secret = UnicodeAttribute(null=True)
    totp_pending_secret = UnicodeAttribute(null=True)
    totp_last_step = NumberAttribute(null=True)
    recovery_codes: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, null=True)


class UsernameRow(Model):
    """Makes a username unique over all organisations, and finds its user.

    So does a second row for what the name looks like, under ``keys.skeleton_key``.
    """

    class Meta(ClientLimits):
        table_name = "usernames"

    username = UnicodeAttribute(hash_key=True)
    organization_id = UnicodeAttribute()
    user_id = UnicodeAttribute()


class SessionRow(Model):
    class Meta(ClientLimits):
        table_name = "sessions"
        # DynamoDB deletes a row up to days after that time, so the code compares it as well.
        expires_by = "expires_at"

    token_hash = UnicodeAttribute(hash_key=True)
    organization_id = UnicodeAttribute()
    user_id = UnicodeAttribute()
    username = UnicodeAttribute()
    created_at = UnicodeAttribute()
    expires_at = NumberAttribute()
    # The user's, kept here so that a request needs one read; whatever changes the role changes it here as well.
    role = UnicodeAttribute(null=True)
    ticket_of = UnicodeAttribute(null=True)
    # Of a ticket that was drawn with an API key: "api_key". Its scopes are read with the key, so no role is here.
    actor_type = UnicodeAttribute(null=True)
    # Of a login that waits for its code: what it is bound to.
    challenge_of = UnicodeAttribute(null=True)
    has_second_factor = BooleanAttribute(null=True)
    must_set_up_second_factor = BooleanAttribute(null=True)
    # Where it was started from, and its last use to ten minutes; null in rows from before these were noted.
    address = UnicodeAttribute(null=True)
    program = UnicodeAttribute(null=True)
    used_at = NumberAttribute(null=True)
