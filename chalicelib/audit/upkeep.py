"""Every hour, for each organisation: publish what a stream has lost, and seal what is older than an hour.

An organisation that can't be kept up holds up no other. How many there were, and how old the oldest event is that is
due and not sealed, are metrics with alarms.
"""

import logging
from collections import Counter

from chalicelib.audit.sealing import seal_feed
from chalicelib.events.feed_store import FeedState
from chalicelib.events.publishing import publish_missed
from chalicelib.events.records import NOBODYS_ORGANIZATION
from chalicelib.kernel import logs
from chalicelib.kernel.errors import VersionConflict
from chalicelib.kernel.metrics import milliseconds_since, put_values
from chalicelib.wiring import Stores

#: After so many failures without a success between them the cause is not an organisation but an outage of a dependency,
#: and what is left of the time is better spent by the next run.
MAX_FAILURES_IN_A_ROW = 10

_log = logging.getLogger(__name__)


def keep_up(stores: Stores) -> dict[str, int]:
    """
    :returns: how many feeds were kept up, left to another run, and not kept up.
    :raises Exception: too many failures in a row.
    """
    done: Counter[str] = Counter()
    lag_seconds, in_a_row = 0.0, 0
    try:
        for organization_id in (NOBODYS_ORGANIZATION, *stores.organizations.ids()):
            with logs.log_context(organization_id=organization_id):
                try:
                    keep_up_feed(stores, organization_id)
                    done["feeds"] += 1
                    in_a_row = 0
                except VersionConflict:
                    # Another run is at it.
                    done["left"] += 1
                except Exception:
                    done["errors"] += 1
                    in_a_row += 1
                    _log.exception("The feed of one organisation could not be kept up")
                    lag_seconds = max(lag_seconds, _unsealed_seconds(stores, organization_id))
                    if in_a_row >= MAX_FAILURES_IN_A_ROW:
                        raise
    finally:
        # Each run tells of both, so that their absence means that there was no run.
        put_values(stores.settings, "FeedsNotKeptUp", [done["errors"]], "Count")
        put_values(stores.settings, "SealLag", [lag_seconds], "Seconds")
    _log.info("Kept up the feeds: %s", dict(done))
    return dict(done)


def keep_up_feed(stores: Stores, organization_id: str) -> None:
    state = stores.feed.state(organization_id)
    try:
        state = _publish_missed(stores, organization_id, state)
    except Exception:
        # Of an event that can't be published; what is published is sealed all the same.
        seal_feed(stores, organization_id, state)
        raise
    seal_feed(stores, organization_id, state)


def _publish_missed(stores: Stores, organization_id: str, state: FeedState) -> FeedState:
    after = publish_missed(stores, organization_id, state)
    if after != state:
        stores.feed.set_state(organization_id, state, after)
    return after


def _unsealed_seconds(stores: Stores, organization_id: str) -> float:
    """The age of the oldest event that is not sealed; 0 where there is none, or where that can't be read either."""
    try:
        sealed = stores.feed.state(organization_id).sealed_sequence
        oldest = stores.feed.after(organization_id, sealed, 1)
    except Exception:
        _log.warning("How long its events have not been sealed can't be read", exc_info=True)
        return 0.0
    return milliseconds_since(oldest[0].published_at) / 1000 if oldest else 0.0
