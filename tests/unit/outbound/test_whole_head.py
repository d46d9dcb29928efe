"""Where an answer's connection ends: in its head there is no answer, after it there is one."""

from __future__ import annotations

import io
from http.client import HTTPException
from typing import Any

import pytest

from chalicelib.platform.whole_head import WholeHeadResponse

WHOLE = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


class Wire:
    """What a response needs of a socket."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._raw)


def response(raw: bytes) -> WholeHeadResponse:
    wire: Any = Wire(raw)
    made = WholeHeadResponse(wire)
    made.begin()
    return made


def test_whole_head_is_an_answer_and_its_body_is_read() -> None:
    made = response(WHOLE + b"hello")
    assert (made.status, made.getheader("Content-Length"), made.read()) == (200, "5", b"hello")


@pytest.mark.parametrize("end", range(len(WHOLE) - 1))
def test_head_that_breaks_off_is_no_answer(end: int) -> None:
    with pytest.raises((HTTPException, ConnectionError)):
        response(WHOLE[:end])
