"""What counting a request told. Apart from the counters: whoever reads it does not load the library that counts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LimitStatus:
    """Where somebody stands with a limit after this request."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int
