"""What forms a body may have, and reading JSON. Forms with a file are read in forms.py."""

import io
from enum import Enum
from typing import Any, BinaryIO

from chalice.app import CaseInsensitiveMapping, Request

from chalicelib.kernel.errors import BadInput, UnsupportedMediaType
from chalicelib.web.answers import JSON

FORM = "multipart/form-data"
_SEND_JSON = f"Send the body as {JSON}."
_SEND_FILE = f"Send the file as {FORM} in the field 'file'."
_NOTHING = ""
#: In the request's context: the body in a file, from a gateway that carries more than memory should hold. Lambda's
#: events always have the body itself.
SPOOLED_BODY = "spooledBody"


class Body(Enum):
    """What a route reads of a body: the media types, and the sentence for whoever sends another."""

    #: Whatever is sent, under whatever type, is not looked at.
    UNREAD = ((), "")
    OBJECT = ((JSON,), _SEND_JSON)
    #: An object, or nothing at all.
    OPTIONAL_OBJECT = ((JSON, _NOTHING), _SEND_JSON)
    FILE_OR_OBJECT = ((FORM, JSON), _SEND_FILE)

    def __init__(self, media_types: tuple[str, ...], sentence: str) -> None:
        self.media_types = media_types
        self.sentence = sentence

    def check(self, request: Request) -> None:
        """:raises UnsupportedMediaType: the body is of a type that the route does not read."""
        if not self.media_types or (_NOTHING in self.media_types and not request.raw_body):
            return
        if media_type(request.headers) not in self.media_types:
            raise UnsupportedMediaType(self.sentence)


def body_stream(request: Request) -> tuple[BinaryIO, int]:
    """The body from its start, and how many bytes it has."""
    spooled: BinaryIO | None = request.context.get(SPOOLED_BODY)
    if spooled is None:
        raw = request.raw_body
        body = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogateescape")
        return io.BytesIO(body), len(body)
    length = spooled.seek(0, io.SEEK_END)
    spooled.seek(0)
    return spooled, length


def json_object(request: Request) -> dict[str, Any]:
    """The body of a route that reads JSON, as an object.

    :raises BadInput: it is not a JSON object.
    """
    import json

    try:
        parsed = json.loads(request.raw_body or b"")
    except (ValueError, RecursionError):
        raise BadInput("The body is not valid JSON.") from None
    if not isinstance(parsed, dict):
        raise BadInput("The body must be a JSON object.")
    return parsed


def media_type(headers: CaseInsensitiveMapping) -> str:
    return str(headers.get("content-type", "")).partition(";")[0].strip().lower()


def flag_field(body: dict[str, Any], name: str) -> bool:
    """False when it is missing.

    :raises BadInput: neither true nor false.
    """
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise BadInput(f"{name} must be true or false.")
    return value


def text_field(body: dict[str, Any], name: str) -> str:
    """:raises BadInput: missing, not a string, empty, or not encodable."""
    value = body.get(name)
    if value is None:
        raise BadInput(f"{name} is missing.")
    if not isinstance(value, str):
        raise BadInput(f"{name} must be a string.")
    if not value:
        raise BadInput(f"{name} is empty.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadInput(f"{name} is not valid Unicode.") from None
    return value
