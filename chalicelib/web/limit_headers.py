"""How far the asker is from a limit, told in the headers of every answer to a request that was counted."""

from chalice.app import Request, Response

from chalicelib.kernel.limit_status import LimitStatus

#: Where a request keeps its limit until its answer is made.
_STATUS = "strongroom.limit"


def report_limit(request: Request, status: LimitStatus) -> None:
    """The answer, whatever it will be, carries this; the limit that was counted last is told."""
    request.context[_STATUS] = status


def add_limit_headers(request: Request, response: Response) -> None:
    """As draft-ietf-httpapi-ratelimit-headers-03 and most services spell them."""
    status: LimitStatus | None = request.context.get(_STATUS)
    if status is None:
        return
    response.headers["RateLimit-Limit"] = str(status.limit)
    response.headers["RateLimit-Remaining"] = str(status.remaining)
    response.headers["RateLimit-Reset"] = str(status.reset_seconds)
