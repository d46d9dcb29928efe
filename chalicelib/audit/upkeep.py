"""Every hour, for each organisation: publish what a stream has lost, and seal what is older than an hour."""

import logging
from collections import Counter

from chalicelib.audit.sealing import seal_feed
from chalicelib.events.publishing import publish_missed
from chalicelib.events.records import NOBODYS_ORGANIZATION
from chalicelib.kernel import logs
from chalicelib.kernel.errors import VersionConflict
from chalicelib.wiring import Stores

#: After this many failures in one run the cause is not an organisation but an outage of a dependency.
MAX_ERRORS = 10

_log = logging.getLogger(__name__)


def keep_up(stores: Stores) -> dict[str, int]:
    """
    :returns: how many feeds were looked at, and how often it failed.
    :raises Exception: too many errors.
    """
    done: Counter[str] = Counter()
    for organization_id in (NOBODYS_ORGANIZATION, *stores.organizations.ids()):
        with logs.log_context(organization_id=organization_id):
            try:
                keep_up_feed(stores, organization_id)
                done["feeds"] += 1
            except VersionConflict:
                # Another run is at it.
                done["left"] += 1
            except Exception:
                done["errors"] += 1
                if done["errors"] >= MAX_ERRORS:
                    raise
                _log.exception("The feed of one organisation could not be kept up")
    _log.info("Kept up the feeds: %s", dict(done))
    return dict(done)


def keep_up_feed(stores: Stores, organization_id: str) -> None:
    state = stores.feed.state(organization_id)
    after = publish_missed(stores, organization_id, state)
    if after != state:
        stores.feed.set_state(organization_id, state, after)
    seal_feed(stores, organization_id, after)
