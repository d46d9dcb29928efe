"""What every route and every operator's command writes as events: one table, by subject."""

from __future__ import annotations

from tests.unit.events.acts.accounts import ACCOUNTS
from tests.unit.events.acts.files import FILES
from tests.unit.events.acts.organization import ORGANIZATION
from tests.unit.events.acts.webhooks import WEBHOOKS

ACTS = (*ACCOUNTS.acts, *ORGANIZATION.acts, *FILES.acts, *WEBHOOKS.acts)
