"""How a browser is told to treat a download: always as a file to save, never as a page to show."""

from urllib.parse import quote


def attachment(filename: str) -> str:
    """A Content-Disposition that keeps any Unicode name (RFC 6266, RFC 8187), with an ASCII form for old clients."""
    plain = "".join(c if c.isascii() and c not in '"\\' and c.isprintable() else "_" for c in filename)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(filename, safe='')}"
