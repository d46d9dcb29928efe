"""Which page a browser's request comes from, and whether that page may send it with the browser's cookie."""

from urllib.parse import urlsplit

from chalice.app import Request

from chalicelib.kernel.errors import ForeignOrigin
from chalicelib.wiring import stores


def check_origin(request: Request) -> None:
    """Refuse what a page of another origin sends with the browser's cookie (OWASP's CSRF sheet).

    :raises ForeignOrigin: Origin, or without one Referer, is neither ours nor configured; or without Origin the browser
        says that the page is of another origin, be it of the same site.
    """
    origin = request.headers.get("origin")
    if origin is None:
        # Redirects keep the Referer of the first page; Sec-Fetch-Site looks at every step.
        if request.headers.get("sec-fetch-site") in ("same-site", "cross-site"):
            raise ForeignOrigin
        referer = request.headers.get("referer")
        if not referer:
            return
        origin = _origin_of(referer)
    # Where there is TLS, a page that came without it counts as foreign: anyone on its way could have altered it.
    schemes = ("https",) if stores().settings.cookie_secure else ("https", "http")
    ours = {f"{scheme}://{request.headers.get('host')}" for scheme in schemes}
    if origin not in ours and origin not in stores().settings.cors_origins:
        raise ForeignOrigin


def _origin_of(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}"
