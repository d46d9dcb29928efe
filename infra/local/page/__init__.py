"""The page at / of `make up`: log in, send files straight to storage, follow them, download, delete.

It is served by the local gateway only. On AWS pages come from wherever the product's own front end is.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_FOLDER = Path(__file__).parent
_ASSETS = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page/style.css": ("style.css", "text/css; charset=utf-8"),
    "/page/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/page/upload.js": ("upload.js", "text/javascript; charset=utf-8"),
}


@dataclass(frozen=True)
class Asset:
    headers: dict[str, str]
    body: bytes


def find_asset(path: str) -> Asset | None:
    """What stands at a path of the page, read anew each time so that an edit shows on reload."""
    name, content_type = _ASSETS.get(path, (None, ""))
    if name is None:
        return None
    headers = {
        "Content-Type": content_type,
        "Cache-Control": "no-cache",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        # Storage is another origin, to which the page sends the bytes.
        "Content-Security-Policy": (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' {_storage()}; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
    }
    return Asset(headers, (_FOLDER / name).read_bytes())


def _storage() -> str:
    return os.environ.get("S3_PUBLIC_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT_URL", "")
