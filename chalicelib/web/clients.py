"""What a request tells of the program that sends it."""

import unicodedata

from chalice.app import Request

from chalicelib.accounts.sessions import Client
from chalicelib.web.addresses import source_address
from chalicelib.web.cookies import device_of

#: Ample for what browsers send, and little in a row.
MAX_PROGRAM_CHARACTERS = 200


def client_of(request: Request) -> Client:
    return Client(source_address(request), program_of(request), device_of(request))


def program_of(request: Request) -> str:
    """What it calls itself, for its user to read: cut, and without control characters and marks of direction."""
    told = str(request.headers.get("user-agent", ""))[: 4 * MAX_PROGRAM_CHARACTERS]
    readable = "".join(c for c in told if unicodedata.category(c)[0] != "C")
    return readable.strip()[:MAX_PROGRAM_CHARACTERS]
