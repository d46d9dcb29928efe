"""What tells that a sentence of an answer was not written by us, but by Python or a library."""

from __future__ import annotations

import builtins
import re

_EXCEPTIONS = "|".join(
    name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)
)
FOREIGN_WORDS = re.compile(
    "|".join(
        [
            rf"\b(?:{_EXCEPTIONS})\b",
            # A class of any library, such as ClientError, ParserError or MultipartPart(.
            r"\b[A-Za-z]+(?:Error|Exception|Fault|LimitReached)\b",
            r"\b[A-Z]\w*\(",
            r"Traceback|\bFile \"|\bline \d+",
            # Representations: bytes, escapes, tuples, lists of strings, objects and their addresses.
            r"\bb'|\bb\"|\bu'",
            r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt0'\"])",
            r"^\(|\('|\(\"|',\)|\['|\[\"|\{'",
            r"<[\w.]+ object|<class |\bobject at 0x|\b0x[0-9a-f]{6,}",
            # The interpreter's own sentences.
            r"\bcodecs?\b|has no attribute|object has no|not subscriptable|positional argument|keyword argument",
            r"NoneType|\b(?:self|str|int|dict|bytes)\b (?:object|is|has)",
            r"\bNone\b(?! of\b)|\bTrue\b|\bFalse\b",
            r"\bchalicelib\b|\b(?:pynamodb|botocore|boto3|redis|multipart)\.\w+|\.py\b",
        ]
    )
)


def foreign_words(sentence: str) -> list[str]:
    """What of a sentence is Python's, as it stands there."""
    return [found.group() for found in FOREIGN_WORDS.finditer(sentence)]
