"""Reads query parameters; each fault is a sentence that names the parameter."""

import re

from chalice.app import Request

from chalicelib.kernel.errors import BadInput

#: Ample for any number that means something here, and no work to parse.
MAX_DIGITS = 18


def one(request: Request, name: str) -> str | None:
    """:raises BadInput: given more than once."""
    values = request.query_params.getlist(name) if request.query_params and name in request.query_params else []
    if len(values) > 1:
        raise BadInput(f"{name} is given {len(values)} times; give it once.")
    return values[0] if values else None


def whole_number(request: Request, name: str, default: int, least: int) -> int:
    """:raises BadInput: not a whole number, or below the least."""
    raw = one(request, name)
    if raw is None:
        return default
    if not re.fullmatch(rf"[0-9]{{1,{MAX_DIGITS}}}", raw) or int(raw) < least:
        raise BadInput(f"{name} must be a whole number from {least} up.")
    return int(raw)


def optional_number(request: Request, name: str, least: int) -> int | None:
    """:raises BadInput: given, and not a whole number, or below the least."""
    return whole_number(request, name, least, least) if one(request, name) is not None else None


def words(request: Request, name: str) -> list[str] | None:
    """Separated by commas; None when it is not given.

    :raises BadInput: given more than once, or empty.
    """
    raw = one(request, name)
    if raw is None:
        return None
    found = [word for part in raw.split(",") if (word := part.strip())]
    if not found:
        raise BadInput(f"{name} is empty; name one or more, with commas between them, or leave it out.")
    return found


def choice(request: Request, name: str, choices: tuple[str, ...]) -> str | None:
    """:raises BadInput: none of the choices."""
    raw = one(request, name)
    if raw is not None and raw not in choices:
        raise BadInput(f"{name} must be one of {', '.join(choices)}.")
    return raw


def mime_type(request: Request, name: str) -> str | None:
    """:raises BadInput: not of the form type/subtype."""
    raw = one(request, name)
    raw = raw.lower() if raw is not None else None
    if raw is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,63}/[a-z0-9][a-z0-9.+_-]{0,127}", raw):
        raise BadInput(f"{name} must be a type such as application/pdf.")
    return raw
