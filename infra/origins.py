"""What browsers will do with the origins of a deployment. Knows the rules of cookies; must not know AWS."""

from __future__ import annotations

from urllib.parse import urlsplit


def cookie_notes(origins: str, domain: str) -> list[str]:
    """A sentence for each origin whose pages can't sign in by cookie.

    The session's cookie is SameSite=Lax: a browser sends it with requests of a page of the same site only, which is the
    same registrable domain (RFC 6265bis, "same-site"). Two names that do not even share their last two labels are of
    two sites for certain; of others nothing is said, because only the list of public suffixes knows.

    :param origins: separated by commas, as the parameter CorsOrigins has them.
    :param domain: under which the API answers; empty for the gateway's own address, which is a site of its own.
    """
    notes = []
    for origin in (part.strip() for part in origins.split(",")):
        host = urlsplit(origin).hostname or ""
        if host and host.split(".")[-2:] != domain.split(".")[-2:]:
            where = f"the API at {domain}" if domain else "the API without a DomainName"
            notes.append(
                f"Pages of {origin} are of another site than {where}: browsers will not send the session's cookie. "
                "Give the API a DomainName of the same site, or have the page log in with a token (docs/operations.md, "
                "'Pages of yours')."
            )
    return notes
