"""Reads a file out of a multipart/form-data body (RFC 7578)."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

from chalice.app import Request
from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartParser,
    MultipartPart,
    ParserLimitReached,
    parse_options_header,
)

from chalicelib.kernel.content import Content
from chalicelib.kernel.errors import BadInput
from chalicelib.web.bodies import FORM, body_stream

FILE_FIELD = "file"
#: What surrounds the file in the body: boundaries, part headers, small fields.
FORM_OVERHEAD_BYTES = 64 * 1024
MAX_PARTS = 16
#: Longer parts go to a file. Above what Lambda's gateway can carry (10 MB), so that there everything stays in memory,
#: where the body is already.
MAX_PART_BYTES_IN_MEMORY = 10 * 1024 * 1024
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
    body: Content

    def close(self) -> None:
        """Gives the disk's room back, where the body is in a file."""
        if not isinstance(self.body, bytes):
            self.body.close()


def read_file(request: Request) -> SentFile:
    """The one part named ``file``. Close it.

    :raises BadInput: a broken body; no ``file`` part, several, or one without a filename.
    """
    boundary = parse_options_header(request.headers["content-type"])[1].get("boundary", "")
    if not 1 <= len(boundary) <= MAX_BOUNDARY_CHARACTERS:
        raise BadInput("The Content-Type names no usable multipart boundary.")
    body, length = body_stream(request)
    with ExitStack() as parts:
        part = _only_file(_parts(body, length, boundary, parts))
        parts.pop_all()
    declared = part.content_type[:MAX_DECLARED_TYPE_CHARACTERS]
    return SentFile(filename=part.filename, declared_type=declared, body=part.raw if part.is_buffered() else part.file)


def _only_file(parts: list[MultipartPart]) -> MultipartPart:
    files = [part for part in parts if part.name == FILE_FIELD]
    if not files:
        raise BadInput(f"The form has no file: send one part named '{FILE_FIELD}'.")
    if len(files) > 1:
        raise BadInput(f"The form has {len(files)} parts named '{FILE_FIELD}'; send one file a request.")
    if not (files[0].filename or "").strip():
        # RFC 7578, 4.2, rules out filename*, which some clients send for names that are not ASCII.
        raise BadInput('The file part has no filename: send it as filename="...", in UTF-8.')
    for part in parts:
        if part is not files[0]:
            part.close()
    return files[0]


def _parts(body: BinaryIO, length: int, boundary: str, opened: ExitStack) -> list[MultipartPart]:
    parser = MultipartParser(
        body,
        boundary.encode("latin-1", "replace"),
        content_length=length,
        strict=True,
        part_limit=MAX_PARTS,
        headersize_limit=MAX_HEADER_BYTES,
        spool_limit=MAX_PART_BYTES_IN_MEMORY,
        memory_limit=MAX_PARTS * MAX_PART_BYTES_IN_MEMORY,
    )
    parts = []
    try:
        for part in parser:
            opened.callback(part.close)
            parts.append(part)
    except (MultipartError, UnicodeError, ValueError) as error:
        raise BadInput(_sentence(error)) from None
    return parts


def _sentence(error: ValueError) -> str:
    if isinstance(error, ParserLimitReached):
        return TOO_MUCH
    # For a header that is not UTF-8 the parser raises an error of its own, with that of the codec as an argument.
    undecodable = any(isinstance(one, UnicodeError) for one in (error, *error.args))
    return NOT_UTF8 if undecodable else MALFORMED
