"""The files of the console, each below a digest of all of them, and the document that starts it.

The digest is in the path, so whatever is below it never changes and is kept by browsers for ever; modules import each
other by relative paths and need no build step. Knows files; must not know HTTP.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "static"
_DOCUMENT = "index.html"
_DIGEST_CHARACTERS = 16
_MEDIA_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    text: str
    media_type: str


@cache
def version() -> str:
    """What stands in the path: a digest over name and content of every file."""
    total = hashlib.sha256()
    for name, path in sorted(_files().items()):
        total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:_DIGEST_CHARACTERS]


def find_asset(of_version: str, name: str) -> Asset | None:
    """A file of the console, or None when there is no such file or another version is asked for.

    :param name: relative to the folder, such as ``vendor/preact.mjs``.
    """
    path = _files().get(name)
    if path is None or path.suffix not in _MEDIA_TYPES or of_version != version():
        return None
    return Asset(_text(path), _MEDIA_TYPES[path.suffix])


def document(base_path: str, *, sign_up_is_open: bool) -> str:
    """The HTML document, whose addresses begin with the path below which the API is.

    :param base_path: ``/api`` at the gateway's own address, nothing below a name of one's own.
    """
    sign_up = "open" if sign_up_is_open else "closed"
    return (
        _text(_FOLDER / _DOCUMENT)
        .replace("{{assets}}", f"{base_path}/console/{version()}")
        .replace("{{base}}", f"{base_path}/")
        .replace("{{sign_up}}", sign_up)
    )


@cache
def _files() -> dict[str, Path]:
    """By name. A path of a request is looked up here, and never joined to a folder."""
    return {path.relative_to(_FOLDER).as_posix(): path for path in _FOLDER.rglob("*") if path.is_file()}


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
