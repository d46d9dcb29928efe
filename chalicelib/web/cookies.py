"""The two cookies: the session's, and the one that knows a device from which its user has signed in before."""

from chalice.app import Request

from chalicelib.accounts.devices import DEVICE_TTL_SECONDS
from chalicelib.wiring import stores


def session_of(request: Request) -> str | None:
    """The session's token as sent, which may be anything."""
    return _cookie(request, _name("session"))


def device_of(request: Request) -> str | None:
    """The device cookie as sent, which may be anything."""
    return _cookie(request, _name("device"))


def session_cookie(token: str, max_age_seconds: int) -> str:
    return _set_cookie("session", token, max_age_seconds)


def device_cookie(value: str) -> str:
    return _set_cookie("device", value, DEVICE_TTL_SECONDS)


def _name(name: str) -> str:
    """With the ``__Host-`` prefix no other host can set it (RFC 6265bis), but browsers demand Secure for that."""
    return f"__Host-{name}" if stores().settings.cookie_secure else name


def _set_cookie(name: str, value: str, max_age_seconds: int) -> str:
    secure = "; Secure" if stores().settings.cookie_secure else ""
    return f"{_name(name)}={value}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Lax{secure}"


def _cookie(request: Request, name: str) -> str | None:
    """Python's own parser drops every cookie of a header in which one is odd, and other programs' cookies often are."""
    for pair in str(request.headers.get("cookie", "")).split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value or None
    return None
