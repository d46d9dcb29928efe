"""Multipart bodies: any bytes under any name come through, and any broken body is a clean refusal."""

from __future__ import annotations

import hashlib
import io
from contextlib import closing
from typing import Any

import pytest
from chalice.app import CaseInsensitiveMapping, Request
from hypothesis import assume, example, given
from hypothesis import strategies as st

from chalicelib.kernel.content import sha256_of, size_of
from chalicelib.kernel.errors import BadInput, UnsupportedMediaType
from chalicelib.web.bodies import SPOOLED_BODY
from chalicelib.web.forms import MAX_PART_BYTES_IN_MEMORY, SentFile, read_file
from tests.unit.api import BOUNDARY, multipart_form

#: Bytes that look like what surrounds them.
LOOK_ALIKES = [
    b"--" + BOUNDARY.encode(),
    b"\r\n--" + BOUNDARY.encode()[:-1],
    b"\r\n--" + BOUNDARY.encode() + b"x\r\n",
    b"\r\n--",
    b"\r\n\r\n",
    b"--\r\n",
    b"\r",
    b"\n",
    b"\x00",
    b'Content-Disposition: form-data; name="file"; filename="x"\r\n\r\n',
]
BYTES = st.one_of(
    st.binary(max_size=2000),
    st.lists(st.one_of(st.sampled_from(LOOK_ALIKES), st.binary(max_size=20)), max_size=12).map(b"".join),
)
#: What a browser can send as a name; it escapes quotes and line ends, and nothing else (WHATWG HTML).
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00%\\"), min_size=1, max_size=300)


class _Sent(Request):
    """A request of which only body and content type matter."""

    def __init__(self, content_type: str, body: bytes, spooled: bool = False) -> None:
        self.headers = CaseInsensitiveMapping({"content-type": content_type})
        self.context = {SPOOLED_BODY: io.BytesIO(body)} if spooled else {}
        self._sent = body

    @property
    def raw_body(self) -> bytes:
        return self._sent


def read(content_type: str, body: bytes) -> SentFile:
    return read_file(_Sent(content_type, body))


def no_boundary_inside(data: bytes) -> bool:
    """No sender picks a boundary that occurs in what it sends (RFC 2046, 5.1.1)."""
    return b"\r\n--" + BOUNDARY.encode() not in b"\r\n" + data + b"\r\n"


@given(NAMES, BYTES)
@example("a.txt", b"")
@example('"quoted"\r\n.txt', b"\r\n")
@example("x" * 300, b"--" + BOUNDARY.encode()[:-1])
def test_any_bytes_under_any_name_come_through(name: str, data: bytes) -> None:
    assume(no_boundary_inside(data))
    assume(name.strip())
    sent = read(*multipart_form([("file", name, "application/x-thing", data)]))
    assert sent.body == data
    assert sent.declared_type == "application/x-thing"
    assert sent.filename == name


@given(BYTES, st.integers(0, 100))
def test_a_body_in_a_file_is_read_as_one_in_memory(data: bytes, read_before: int) -> None:
    assume(no_boundary_inside(data))
    content_type, body = multipart_form([("file", "a.bin", None, data)])
    request = _Sent(content_type, body, spooled=True)
    request.context[SPOOLED_BODY].seek(read_before)
    assert read_file(request).body == data == read(content_type, body).body


def test_a_part_too_long_for_memory_comes_as_a_file() -> None:
    data = b"0123456789abcdef" * (MAX_PART_BYTES_IN_MEMORY // 16 + 1)
    with closing(read(*multipart_form([("file", "a.bin", None, data)]))) as sent:
        assert not isinstance(sent.body, bytes)
        assert (size_of(sent.body), sha256_of(sent.body)) == (len(data), hashlib.sha256(data).hexdigest())


@given(st.lists(st.tuples(st.text("abcxyz", min_size=1, max_size=9), BYTES), max_size=6), BYTES, st.integers(0, 6))
def test_fields_around_the_file_make_no_difference(fields: list[tuple[str, bytes]], data: bytes, place: int) -> None:
    assume(no_boundary_inside(data) and all(no_boundary_inside(value) for _, value in fields))
    parts: list[tuple[str, str | None, str | None, bytes]] = [(name, None, None, value) for name, value in fields]
    parts.insert(place, ("file", "a.bin", None, data))
    assert read(*multipart_form(parts)).body == data


#: RFC 2046, 5.1.1.
BOUNDARIES = st.text("abcXYZ019'()+_,-./:=? ", min_size=1, max_size=70).filter(lambda text: not text.endswith(" "))


@given(BOUNDARIES, BYTES)
@example("-", b"--")
@example("x" * 70, b"")
def test_any_boundary_that_the_standard_allows(boundary: str, data: bytes) -> None:
    delimiter = b"--" + boundary.encode()
    assume(b"\r\n" + delimiter not in b"\r\n" + data + b"\r\n")
    head = b'Content-Disposition: form-data; name="file"; filename="a.bin"'
    body = delimiter + b"\r\n" + head + b"\r\n\r\n" + data + b"\r\n" + delimiter + b"--\r\n"
    assert read(f'multipart/form-data; boundary="{boundary}"', body).body == data


CUT = multipart_form([("title", None, None, b"x"), ("file", "a.txt", "text/plain", b"hello" * 20)])


@given(st.integers(0, len(CUT[1]) - 3), st.binary(max_size=20))
def test_body_that_is_cut_short_is_refused(length: int, instead: bytes) -> None:
    body = CUT[1][:length] + instead
    assume(not CUT[1].startswith(body) or length < len(CUT[1]) - 4)
    assume(b"--" + BOUNDARY.encode() + b"--" not in body)
    with pytest.raises(BadInput):
        read(CUT[0], body)


@given(st.text(max_size=200), st.binary(max_size=3000))
def test_anything_else_is_refused_cleanly(content_type: str, body: bytes) -> None:
    for header in (
        content_type,
        f"multipart/form-data; {content_type}",
        f"multipart/form-data; boundary={content_type}",
    ):
        with pytest.raises((BadInput, UnsupportedMediaType)):
            read(header, body)


@given(st.lists(st.tuples(st.sampled_from(["file", "x"]), st.one_of(st.none(), NAMES), BYTES), max_size=20))
def test_exactly_one_named_file_or_a_refusal(parts: list[tuple[str, Any, bytes]]) -> None:
    assume(all(no_boundary_inside(data) for _, _, data in parts))
    content_type, body = multipart_form([(name, filename, None, data) for name, filename, data in parts])
    files = [(filename, data) for name, filename, data in parts if name == "file"]
    if len(files) == 1 and files[0][0] and files[0][0].strip() and len(parts) <= 16:
        assert read(content_type, body).body == files[0][1]
    else:
        with pytest.raises(BadInput):
            read(content_type, body)
