"""Types are read off the content."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.processing.mime import HEAD_BYTES, detect_type
from tests.unit.samples import SAMPLES, Sample


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_known_content_is_recognised(sample: Sample) -> None:
    assert detect_type(sample.body[:HEAD_BYTES]) == sample.mime_type


@given(st.binary(max_size=3000))
def test_any_bytes_have_a_type_that_a_filter_takes(head: bytes) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+_-]{0,127}", detect_type(head))


def test_type_that_the_library_writes_in_capitals() -> None:
    message = b"-----BEGIN PGP MESSAGE-----\nVersion: GnuPG v2\n\nhQEMA\n-----END PGP MESSAGE-----\n"
    assert detect_type(message) == detect_type(message).lower()
