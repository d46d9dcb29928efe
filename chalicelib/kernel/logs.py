"""Logs: JSON lines on functions, readable ones on a laptop; what a request is about is on every line of it.

Nothing secret is ever passed to a log call. What slips through in an exception's text is masked here all the same.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.config import Settings

_context: ContextVar[dict[str, Any] | None] = ContextVar("log_context", default=None)

_SECRETS = re.compile(
    r"(?i)(x-amz-(?:signature|credential|security-token)=|\bauthorization['\"]?\s*[:=]\s*['\"]?(?:bearer\s+)?"
    r"|\binv_(?=[0-9a-z]{20})|\bbearer\s+|\bsession="
    r"|\b(?:password|challenge|secret|recovery_codes?)['\"]?\s*[:=]\s*['\"]?)[^&\s'\",;@]+"
)
#: The secret of a second factor is in the address that an authenticator reads.
_OTPAUTH = re.compile(r"(?i)(\botpauth:)[^\s'\"]+")
#: Up to the last @: a password may hold any character, and one that should have been escaped may not have been.
_URL_PASSWORDS = re.compile(r"(?i)(\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)\S*(?=@)")
#: As chalicelib/api_keys/key_text.py makes them: who it is may be read, the secret not.
_API_KEYS = re.compile(r"\b(sr_[0-9A-Za-z]{33}_)[0-9A-Za-z]+")
_TOLD_BY_MESSAGES = frozenset(("route", "status", "outcome"))
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def add_context(**fields: Any) -> None:
    """From now on, every line of this request or batch carries these fields."""
    _context.set({**(_context.get() or {}), **fields})


def clear_context() -> None:
    _context.set({})


@contextmanager
def log_context(**fields: Any) -> Iterator[None]:
    """Within, every line carries these fields besides."""
    token = _context.set({**(_context.get() or {}), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def mask(text: str) -> str:
    """Replace what looks like a token, a cookie, a key, a password or a signature."""
    masked = _SECRETS.sub(r"\1***", _API_KEYS.sub(r"\1***", text))
    return _URL_PASSWORDS.sub(r"\1***", _OTPAUTH.sub(r"\1***", masked))


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": timestamp(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **(_context.get() or {}),
            **_extras(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # Each value is masked before it is written as JSON: after that, quotes are escaped and not to be told apart.
        return json.dumps({key: _masked(value) for key, value in line.items()}, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = {**(_context.get() or {}), **_extras(record)}
        told = " ".join(f"{key}={value}" for key, value in fields.items() if key not in _TOLD_BY_MESSAGES)
        line = f"{timestamp()[11:23]} {record.levelname:<7} {record.getMessage()} {told}".rstrip()
        # A message may quote a key or a name; a line break in it must not look like a second line.
        line = line.replace("\n", "\\n").replace("\r", "\\r")
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return mask(line)


def _masked(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float) else mask(str(value))


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class _StandardOutput(logging.StreamHandler[TextIO]):
    """Writes to what is standard output at the time: it may be exchanged after the handler was made."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stdout


def configure(settings: Settings) -> None:
    """Send all logging to standard output in the stage's form. Repeatable, and nothing when it is so already."""
    root = logging.getLogger()
    form: type[logging.Formatter] = JsonFormatter if settings.log_format == "json" else TextFormatter
    match root.handlers:
        case [_StandardOutput(formatter=formatter)] if type(formatter) is form:
            pass
        case _:
            handler = _StandardOutput()
            handler.setFormatter(form())
            root.handlers[:] = [handler]
    # Setting a level makes every logger of the process forget which levels it passes on.
    if logging.getLevelName(root.level) != settings.log_level:
        root.setLevel(settings.log_level)
    # Below WARNING these tell of every request, with headers; none of it is ours to log.
    for chatty in map(logging.getLogger, ("botocore", "boto3", "urllib3", "pynamodb", "limits")):
        if chatty.level != logging.WARNING:
            chatty.setLevel(logging.WARNING)
