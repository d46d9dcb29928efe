"""Reads a file out of a multipart/form-data body (RFC 7578)."""

import io
from dataclasses import dataclass

from chalice.app import Request
from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartParser,
    MultipartPart,
    ParserLimitReached,
    parse_options_header,
)

from chalicelib.kernel.errors import BadInput
from chalicelib.web.bodies import FORM

FILE_FIELD = "file"
#: What surrounds the file in the body: boundaries, part headers, small fields.
FORM_OVERHEAD_BYTES = 64 * 1024
MAX_PARTS = 16
MAX_HEADER_BYTES = 8 * 1024
#: RFC 2046, 5.1.1.
MAX_BOUNDARY_CHARACTERS = 70
MAX_DECLARED_TYPE_CHARACTERS = 255
#: The parser's own sentences quote Python and the input, so each kind of fault has one of ours.
NOT_UTF8 = "The form can't be read: the headers of its parts are not UTF-8. Send names of fields and files in UTF-8."
TOO_MUCH = f"""The form can't be read: it has too many parts, or too many or too long headers in one. Send at most \
{MAX_PARTS} parts, each with at most {MAX_HEADER_BYTES} bytes of headers."""
MALFORMED = f"""The form can't be read: it is cut short or malformed. Send {FORM} as RFC 7578 describes it, \
with the boundary that the Content-Type names."""


@dataclass(frozen=True)
class SentFile:
    filename: str
    declared_type: str | None
    body: bytes


def read_file(request: Request) -> SentFile:
    """The one part named ``file``.

    :raises BadInput: a broken body; no ``file`` part, several, or one without a filename.
    """
    boundary = parse_options_header(request.headers["content-type"])[1].get("boundary", "")
    if not 1 <= len(boundary) <= MAX_BOUNDARY_CHARACTERS:
        raise BadInput("The Content-Type names no usable multipart boundary.")
    raw = request.raw_body
    body = raw if isinstance(raw, bytes) else raw.encode("utf-8", "surrogateescape")
    parts = _file_parts(body, boundary)
    if not parts:
        raise BadInput(f"The form has no file: send one part named '{FILE_FIELD}'.")
    if len(parts) > 1:
        raise BadInput(f"The form has {len(parts)} parts named '{FILE_FIELD}'; send one file a request.")
    part = parts[0]
    if not (part.filename or "").strip():
        # RFC 7578, 4.2, rules out filename*, which some clients send for names that are not ASCII.
        raise BadInput('The file part has no filename: send it as filename="...", in UTF-8.')
    declared = part.content_type[:MAX_DECLARED_TYPE_CHARACTERS]
    return SentFile(filename=part.filename, declared_type=declared, body=part.raw)


def _file_parts(body: bytes, boundary: str) -> list[MultipartPart]:
    limit_bytes = len(body) + 1
    parser = MultipartParser(
        io.BytesIO(body),
        boundary.encode("latin-1", "replace"),
        content_length=len(body),
        strict=True,
        part_limit=MAX_PARTS,
        headersize_limit=MAX_HEADER_BYTES,
        # The body is in memory already, so nothing is won by spooling parts of it to a disk that Lambda may not have.
        spool_limit=limit_bytes,
        memory_limit=limit_bytes,
    )
    try:
        return [part for part in parser if part.name == FILE_FIELD]
    except (MultipartError, UnicodeError, ValueError) as error:
        raise BadInput(_sentence(error)) from None


def _sentence(error: ValueError) -> str:
    if isinstance(error, ParserLimitReached):
        return TOO_MUCH
    # For a header that is not UTF-8 the parser raises an error of its own, with that of the codec as an argument.
    undecodable = any(isinstance(one, UnicodeError) for one in (error, *error.args))
    return NOT_UTF8 if undecodable else MALFORMED
