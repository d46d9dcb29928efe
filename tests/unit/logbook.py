"""Everything that a test logs, twice: as it was passed to the logger, and as it came out on standard output."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

#: A presigned signature, a bcrypt hash, a session cookie with a value, an API key.
_ALWAYS_SECRET = re.compile(
    r"X-Amz-Signature=(?!\*)|\$2[aby]\$\d\d\$|\bsession=(?!\*|;)[\w-]{20}|Bearer (?!\*)[\w-]{20}"
    r"|sr_[0-9A-Za-z]{33}_[0-9A-Za-z]"
)


class Logbook:
    """Stands in the place of standard output and passes on what it notes."""

    def __init__(self, through: TextIO) -> None:
        self.through = through
        self.output = ""
        self.messages: list[str] = []
        #: What no line may show: passwords of the test's users, every token that it gets.
        self.secrets: list[str] = []

    def write(self, text: str) -> int:
        self.output += text
        return self.through.write(text)

    def flush(self) -> None:
        self.through.flush()

    def isatty(self) -> bool:
        return False

    def note(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The JSON lines among what came out, metrics aside."""
        lines = [json.loads(line) for line in self.output.splitlines() if line.startswith("{")]
        return [line for line in lines if "_aws" not in line]

    def leaks(self) -> list[str]:
        """Which of the secrets, or of what always is one, can be read in what was logged."""
        found = [secret for secret in self.secrets if secret in self.output or any(secret in m for m in self.messages)]
        found += [match[0] for match in _ALWAYS_SECRET.finditer(self.output)]
        return found


class _Factory:
    def __init__(self, logbook: Logbook) -> None:
        self._make = logging.getLogRecordFactory()
        self._logbook = logbook

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        self._logbook.note(record)
        return record


class Watch:
    """Puts a logbook in place for as long as it is open."""

    def __enter__(self) -> Logbook:
        self._stdout = sys.stdout
        self._make = logging.getLogRecordFactory()
        self._root_handlers = logging.getLogger().handlers[:]
        logbook = Logbook(self._stdout)
        sys.stdout = logbook
        logging.setLogRecordFactory(_Factory(logbook))
        return logbook

    def __exit__(self, *_: object) -> None:
        sys.stdout = self._stdout
        logging.setLogRecordFactory(self._make)
        logging.getLogger().handlers[:] = self._root_handlers


@contextmanager
def kept_in_place(logbook: Logbook) -> Iterator[None]:
    """Pytest puts its own standard output back between setting a test up and running it; not so with ``-s``."""
    stdout = sys.stdout
    if stdout is not logbook:
        logbook.through = stdout
    sys.stdout = logbook
    try:
        yield
    finally:
        sys.stdout = stdout
