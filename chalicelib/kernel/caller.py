"""Who is asking."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """Who is asking, made once by authentication; everything that reads a row or an object starts from it."""

    organization_id: str
    user_id: str
    username: str
