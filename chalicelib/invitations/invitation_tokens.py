"""The token of an invitation: ``inv_<organisation><invitation>_<secret>``, letters and digits but for the two signs."""

import re
import uuid

from chalicelib import keys
from chalicelib.kernel import base62

#: 62^22 is more than 2^128, and 62^43 more than 2^256.
_ORGANIZATION_CHARACTERS = 22
_SECRET_CHARACTERS = 43
_UUID_BYTES = 16
_TOKEN = re.compile(
    rf"inv_([0-9A-Za-z]{{{_ORGANIZATION_CHARACTERS}}})([0-9A-Za-z]{{{keys.INVITATION_ID_CHARACTERS}}})"
    rf"_[0-9A-Za-z]{{{_SECRET_CHARACTERS}}}"
)


def new_token(organization_id: str, invitation_id: str) -> str:
    organization = base62.encode(uuid.UUID(organization_id).bytes, _ORGANIZATION_CHARACTERS)
    return f"inv_{organization}{invitation_id}_{base62.random_text(_SECRET_CHARACTERS)}"


def read_token(token: str) -> tuple[str, str] | None:
    """The ids of the organisation and the invitation that it names; None when it has not the form of one."""
    match = _TOKEN.fullmatch(token)
    organization = base62.decode(match[1], _UUID_BYTES) if match else None
    return (str(uuid.UUID(bytes=organization)), match[2]) if match and organization is not None else None
