"""List cursors: opaque, and good only for the organisation and the filters that they were made for.

A cursor is the id of the last file shown and a hash over it, the organisation and the filters. The hash finds mistakes,
such as another filter or a cut text. It keeps no secret: a list reads the partition of the caller's organisation only,
so a cursor that somebody makes up names a position in their own list.
"""

import base64
import hashlib
import uuid

from chalicelib.kernel.errors import BadInput

_HASH_BYTES = 16
_ID_BYTES = 16
_WRONG = "The cursor is not one that this list gave out; start again without it."


def make_cursor(
    organization_id: str, status: str | None, mime_type: str | None, last_id: str, name: str | None = None
) -> str:
    raw = uuid.UUID(last_id).bytes
    return base64.urlsafe_b64encode(raw + _hash(organization_id, status, mime_type, name, raw)).decode().rstrip("=")


def read_cursor(
    organization_id: str, status: str | None, mime_type: str | None, cursor: str, name: str | None = None
) -> str:
    """The file id in the cursor.

    :raises BadInput: it was changed, or made for another organisation or other filters.
    """
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise BadInput(_WRONG) from None
    if len(data) != _ID_BYTES + _HASH_BYTES:
        raise BadInput(_WRONG)
    last_id = str(uuid.UUID(bytes=data[:_ID_BYTES]))
    # Made anew and compared as text: Base64 has several spellings of the same bytes, and only ours is accepted.
    if make_cursor(organization_id, status, mime_type, last_id, name) != cursor:
        raise BadInput(_WRONG)
    return last_id


def _hash(organization_id: str, status: str | None, mime_type: str | None, name: str | None, raw: bytes) -> bytes:
    filters = [organization_id, status or "", mime_type or ""]
    # Cursors of lists without a name stay as they were before there were others.
    made_for = "\x00".join(filters if name is None else [*filters, name]).encode()
    return hashlib.sha256(made_for + b"\x00" + raw).digest()[:_HASH_BYTES]
