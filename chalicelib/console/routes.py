"""The console's document and files. Anyone may read them: they hold no data, and ask the API for it as any page would.

They are not counted against the limit of strangers: a page is some twenty requests, which ask neither table nor cache,
and come once in each version of the console.
"""

import re

from chalice.app import Request, Response

from chalicelib.console import assets
from chalicelib.kernel.errors import RouteNotFound
from chalicelib.web.answers import page
from chalicelib.web.routing import Access, Routes
from chalicelib.wiring import stores

routes = Routes(__name__)

#: A year, the longest that caches keep anything (RFC 9111 has no bound; this is what is usual).
_FOR_EVER = "public, max-age=31536000, immutable"
_STAGE = re.compile(r"(/[A-Za-z0-9_-]+)?/?")


@routes.on("GET", "/", needs=Access.ANYONE)
@routes.on("HEAD", "/", needs=Access.ANYONE)
def document(request: Request) -> Response:
    sign_up_is_open = stores().settings.sign_up == "open"
    base = base_path(str(request.context.get("path", "/")))
    # Monitors ask with HEAD, which has no body (RFC 9110, 9.3.2).
    html = assets.document(base, sign_up_is_open=sign_up_is_open) if request.method == "GET" else ""
    policy = content_security_policy(stores().direct_uploads.origin, stores().objects.download_origin)
    return page(html, "text/html", {"Content-Security-Policy": policy})


@routes.on("GET", "/console/{version}/{name}", needs=Access.ANYONE)
def asset(request: Request, version: str, name: str) -> Response:
    return _asset(version, name)


@routes.on("GET", "/console/{version}/{folder}/{name}", needs=Access.ANYONE)
def asset_in_folder(request: Request, version: str, folder: str, name: str) -> Response:
    return _asset(version, f"{folder}/{name}")


def _asset(version: str, name: str) -> Response:
    found = assets.find_asset(version, name)
    if found is None:
        raise RouteNotFound
    return page(found.text, found.media_type, {"Cache-Control": _FOR_EVER})


def content_security_policy(uploads: str, downloads: str) -> str:
    """Scripts and styles of the console's own files only; requests to the API and to the bucket that uploads go to.

    Images are its own, made in the page (previews of chosen files, the QR code of a second factor), or pictures among
    the organisation's files, which the API redirects to.

    :param uploads: origin of the bucket that uploads go to; ``downloads`` of the one that downloads come from.
    """
    directives = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        f"img-src 'self' blob: data: {downloads}",
        f"connect-src 'self' {uploads}",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
    return "; ".join(directives)


def base_path(path: str) -> str:
    """Below which path the API is: the gateway's own address has the stage in it, a name of one's own does not.

    :param path: of the request for the document, as the gateway tells it.
    """
    found = _STAGE.fullmatch(path)
    return (found[1] or "") if found else ""
