"""The words by which tests of answers know that a sentence is not ours."""

from __future__ import annotations

import pytest

from tests.sentences import foreign_words


@pytest.mark.parametrize(
    "fault",
    [
        ValueError(b"\xff"),
        ("Segment header failed to decode", UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")),
        "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
        ["a", "b"],
        {"a": 1},
        object(),
        "'NoneType' object has no attribute 'get'",
        "quota of None bytes",
        repr(b"a\x00b"),
        "An error occurred (ClientError) when calling GetItem",
        "line 1 column 3 (char 2)",
    ],
)
def test_words_of_python_are_found(fault: object) -> None:
    assert foreign_words(f"The form can't be read: {fault}.")


@pytest.mark.parametrize(
    "sentence",
    [
        "The form has 2 parts named 'file'; send one file a request.",
        "status must be one of pending, processing, completed, failed.",
        'The file part has no filename: send it as filename="...", in UTF-8.',
        "None of these files is yours.",
        "Something went wrong on our side. Try again; if it stays, quote the request id.",
    ],
)
def test_our_words_are_not(sentence: str) -> None:
    assert foreign_words(sentence) == []
