"""List cursors: opaque, and good only for the organisation and the filters that they were made for.

A cursor is the id of the last file shown and a MAC over it, the organisation and the filters, under a key that each
organisation has of its own.
"""

import base64
import hashlib
import hmac
import uuid

from chalicelib.kernel.errors import BadInput
from chalicelib.tenants.organization import Organization

_MAC_BYTES = 16
_ID_BYTES = 16
_WRONG = "The cursor is not one that this list gave out; start again without it."


def make_cursor(organization: Organization, status: str | None, mime_type: str | None, last_id: str) -> str:
    raw = uuid.UUID(last_id).bytes
    return base64.urlsafe_b64encode(raw + _mac(organization, status, mime_type, raw)).decode().rstrip("=")


def read_cursor(organization: Organization, status: str | None, mime_type: str | None, cursor: str) -> str:
    """The file id in the cursor.

    :raises BadInput: it was tampered with, or made for another organisation or other filters.
    """
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise BadInput(_WRONG) from None
    raw, mac = data[:_ID_BYTES], data[_ID_BYTES:]
    if len(data) != _ID_BYTES + _MAC_BYTES or not hmac.compare_digest(mac, _mac(organization, status, mime_type, raw)):
        raise BadInput(_WRONG)
    # Base64 has several spellings of the same bytes; only ours is accepted.
    last_id = str(uuid.UUID(bytes=raw))
    if make_cursor(organization, status, mime_type, last_id) != cursor:
        raise BadInput(_WRONG)
    return last_id


def _mac(organization: Organization, status: str | None, mime_type: str | None, raw: bytes) -> bytes:
    bound_to = "\x00".join([organization.organization_id, status or "", mime_type or ""]).encode()
    return hmac.new(organization.cursor_key, bound_to + b"\x00" + raw, hashlib.sha256).digest()[:_MAC_BYTES]
