"""Port: the counters of rate limits, as the limits need them.

``chalicelib.wiring`` builds what is behind it: counters in Redis or Valkey, in DynamoDB, or in the memory of the
process. Counting outlives an outage: no method raises one, and a limit never becomes unlimited.
"""

from typing import Protocol

from chalicelib.kernel.limit_status import LimitStatus


class Counters(Protocol):
    """Counts in fixed windows, which begin with the first count and end by themselves.

    ``limit`` is ``<amount>/<window>``, such as ``5/minute``, or several with ``;`` between: ``200/day;50/hour``. Each
    ``limit`` counts each ``who`` apart, and ``who`` as a whole: ``("a", "b")`` has nothing to do with ``("a",)``.
    """

    def hit(self, limit: str, *who: str) -> LimitStatus:
        """Count one request, also one that is refused.

        :returns: where ``who`` stands in the window with least room; once one refuses, in the one that refuses longest.
            ``reset_seconds``, at least 1, is when that window ends.
        """

    def give_back(self, limit: str, *who: str) -> None:
        """Take back one count of ``hit``; of nothing, nothing.

        Best effort: a count that was made before an outage can stay until its window ends. Two that give back at the
        very end of a window can leave one count too few.
        """

    def is_reachable(self) -> bool:
        """Whether counts are where they should be: cache or table answers, or none is configured. Raises nothing."""
