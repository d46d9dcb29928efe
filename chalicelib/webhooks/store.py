"""Webhooks: one row each, in the partition of their organisation.

One more row of the partition counts how many were ever made. Whoever makes one has read the list, and writes on the
condition that no other was made since: so there are never more than allowed, however many ask at once.

What people change is written on the condition of the row's version, and how far delivering has come on that of the
lease. The two share no column but ``enabled``, the position and the replay, and whoever holds the lease writes on the
condition that these are as read.
"""

from collections.abc import Iterator
from typing import Any

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from chalicelib import keys
from chalicelib.events.outbox_store import Outbox
from chalicelib.events.records import Event
from chalicelib.kernel.permissions import Scope
from chalicelib.platform.tables import Tables, contention_on_condition
from chalicelib.webhooks.records import Progress, Replay, Webhook, Webhooks
from chalicelib.webhooks.rows import WebhookRow

#: Sorts before every id of a webhook, and can't be one.
_COUNT = "#made"


class WebhookStore:
    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._rows = tables.bind(WebhookRow)
        self._outbox = Outbox(tables)

    def find(self, organization_id: str, webhook_id: str) -> Webhook | None:
        try:
            return _to_webhook(self._rows.get(organization_id, webhook_id, consistent_read=True))
        except DoesNotExist:
            return None

    def of_organization(self, organization_id: str) -> Webhooks:
        """The oldest first."""
        webhooks, made = [], 0
        for row in self._rows.query(organization_id, consistent_read=True):
            if row.webhook_id == _COUNT:
                made = int(row.version)
            else:
                webhooks.append(_to_webhook(row))
        return Webhooks(webhooks, made)

    # ---- by people -----------------------------------------------------------------------------------------------
    def create(self, webhook: Webhook, made: int, event: Event) -> None:
        """
        :param made: how many were ever made, as read with the list.
        :raises VersionConflict: another was made meanwhile.
        """
        row = self._rows(
            webhook.organization_id,
            webhook.webhook_id,
            created_at=webhook.created_at,
            position=webhook.progress.position,
            wake_at=webhook.progress.wake_at,
            wake_shard=keys.webhook_shard(webhook.webhook_id),
            **_told(webhook),
        )
        count = WebhookRow.version == made
        if made == 0:
            count |= WebhookRow.version.does_not_exist()

        def fill(transaction: TransactWrite) -> None:
            transaction.save(row, condition=WebhookRow.webhook_id.does_not_exist())
            self._outbox.add(transaction, event)
            transaction.update(
                self._rows(webhook.organization_id, _COUNT),
                actions=[WebhookRow.version.set(made + 1)],
                condition=count,
                add_version_condition=False,
            )

        with contention_on_condition():
            self._tables.transact(fill)

    def replace(self, before: Webhook, after: Webhook, *events: Event) -> None:
        """Write what people can change.

        One that is enabled begins from the position of ``after``. With another address, too, what failed before does
        not count, and somebody has to look at it at its ``wake_at``. All else of the progress stays as it is.

        :param after: with its new version.
        :raises VersionConflict: somebody else has changed it, or it is gone.
        """
        actions = [_set(getattr(WebhookRow, name), value) for name, value in _told(after).items()]
        if not after.enabled:
            # Whoever delivers at the moment has lost the lease, and so stops.
            actions += [WebhookRow.lease.remove(), *self._wake_actions(before.webhook_id, None)]
        elif not before.enabled or after.url != before.url:
            actions += [WebhookRow.failing_since.remove(), *self._look(after, after.progress.wake_at)]
            if not before.enabled:
                actions.append(WebhookRow.position.set(after.progress.position))

        def fill(transaction: TransactWrite) -> None:
            self._outbox.add(transaction, *events)
            transaction.update(
                self._rows(before.organization_id, before.webhook_id),
                actions=actions,
                condition=WebhookRow.version == before.version,
                add_version_condition=False,
            )

        with contention_on_condition():
            self._tables.transact(fill)

    def delete(self, webhook: Webhook, event: Event) -> None:
        """:raises VersionConflict: somebody else has changed it, or it is gone."""

        def fill(transaction: TransactWrite) -> None:
            transaction.delete(
                self._rows(webhook.organization_id, webhook.webhook_id),
                condition=WebhookRow.version == webhook.version,
                add_version_condition=False,
            )
            self._outbox.add(transaction, event)

        with contention_on_condition():
            self._tables.transact(fill)

    def forget(self, organization_id: str) -> None:
        """Delete how many were ever made, of an organisation that will make no more. Repeatable."""
        self._rows(organization_id, _COUNT).delete(add_version_condition=False)

    def start_replay(self, webhook: Webhook, replay_id: str, position: int, now: int) -> None:
        """Send the events after this position again, up to the one that was taken over last.

        :raises VersionConflict: it is gone, or was disabled meanwhile.
        """
        with contention_on_condition():
            self._rows(webhook.organization_id, webhook.webhook_id).update(
                actions=[
                    WebhookRow.replay_id.set(replay_id),
                    WebhookRow.replay_position.set(position),
                    # As it is at that moment: what comes later is delivered anyway.
                    WebhookRow.replay_until.set(WebhookRow.position),
                    *self._look(webhook, now),
                ],
                condition=_ENABLED,
                add_version_condition=False,
            )

    def look_now(self, webhook: Webhook, now: int) -> None:
        """Somebody has to look at it, even at one that is left alone because it fails.

        :raises VersionConflict: it is gone, or was disabled meanwhile.
        """
        with contention_on_condition():
            self._rows(webhook.organization_id, webhook.webhook_id).update(
                actions=self._look(webhook, now), condition=_ENABLED, add_version_condition=False
            )

    # ---- by whoever delivers -------------------------------------------------------------------------------------
    def to_wake(self, shard: str, now: int) -> Iterator[tuple[str, str]]:
        """``(organization_id, webhook_id)`` of those of a shard that somebody should have looked at by now."""
        found = self._rows.to_wake.query(shard, WebhookRow.wake_at <= now)
        return ((row.organization_id, row.webhook_id) for row in found)

    def look_at(self, webhook: Webhook, moment: int) -> None:
        """Somebody has to look at it at this moment.

        :raises VersionConflict: it is gone, or was disabled meanwhile.
        """
        with contention_on_condition():
            self._rows(webhook.organization_id, webhook.webhook_id).update(
                actions=[WebhookRow.wakes.add(1), *self._wake_actions(webhook.webhook_id, moment)],
                condition=_ENABLED,
                add_version_condition=False,
            )

    def lease(self, organization_id: str, webhook_id: str, holder: str, now: int, until: int) -> Webhook:
        """
        :raises VersionConflict: another holds the lease, it is left alone, disabled or gone.
        """
        row = self._rows(organization_id, webhook_id)
        # Our own lease: only the answer of the write was lost, and the client has sent it again.
        free = WebhookRow.lease.does_not_exist() | (WebhookRow.lease_until <= now) | (WebhookRow.lease == holder)
        with contention_on_condition():
            row.update(
                actions=[
                    WebhookRow.lease.set(holder),
                    WebhookRow.lease_until.set(until),
                    # If the holder dies, the sweep sees to it.
                    *self._wake_actions(webhook_id, until),
                ],
                condition=_ENABLED & free & (WebhookRow.quiet_until <= now),
                add_version_condition=False,
            )
        return _to_webhook(row)

    def ask_holder(self, organization_id: str, webhook_id: str, now: int) -> None:
        """Have the holder of the lease look again before it ends.

        :raises VersionConflict: nobody holds it any more.
        """
        with contention_on_condition():
            self._rows(organization_id, webhook_id).update(
                actions=[WebhookRow.wakes.add(1)],
                condition=WebhookRow.lease.exists() & (WebhookRow.lease_until > now),
                add_version_condition=False,
            )

    def move(self, webhook: Webhook, *, position: int, failing_since: int | None) -> Webhook:
        """Note how far delivering has come.

        :returns: the webhook as it is now.
        :raises VersionConflict: the lease is lost, or it was disabled or began from elsewhere meanwhile.
        """
        actions: list[Action] = [
            WebhookRow.position.set(position),
            _set(WebhookRow.failing_since, failing_since),
        ]
        return self._with_lease(webhook, actions, WebhookRow.position == webhook.progress.position)

    def move_replay(self, webhook: Webhook, replay: Replay, *, position: int, failing_since: int | None) -> Webhook:
        """As :meth:`move`, of a replay. One that has come to its end is forgotten.

        :raises VersionConflict: as :meth:`move`, or another replay has taken its place.
        """
        actions: list[Action] = [_set(WebhookRow.failing_since, failing_since)]
        if position < replay.until:
            actions.append(WebhookRow.replay_position.set(position))
        else:
            of_replay = (WebhookRow.replay_id, WebhookRow.replay_position, WebhookRow.replay_until)
            actions += [column.remove() for column in of_replay]
        return self._with_lease(webhook, actions, WebhookRow.replay_id == replay.replay_id)

    def release(self, webhook: Webhook, after: Progress, *, even_if_asked: bool) -> None:
        """Give the lease back.

        :param after: how it stands then; what counts is ``failing_since``, ``quiet_until`` and ``wake_at``, and in
            ``wakes`` how often others had asked before the last look.
        :param even_if_asked: also when somebody asked to look again; then ``wake_at`` must be soon.
        :raises VersionConflict: somebody asked to look again, the lease is lost, or it was disabled meanwhile.
        """
        actions: list[Action] = [
            WebhookRow.lease.remove(),
            WebhookRow.lease_until.set(0),
            _set(WebhookRow.failing_since, after.failing_since),
            WebhookRow.quiet_until.set(after.quiet_until),
            *self._wake_actions(webhook.webhook_id, after.wake_at),
        ]
        unasked = None if even_if_asked else (WebhookRow.wakes == after.wakes)
        self._with_lease(webhook, actions, unasked)

    def _with_lease(self, webhook: Webhook, actions: list[Action], condition: Condition | None) -> Webhook:
        held = _ENABLED & (WebhookRow.lease == webhook.progress.lease)
        row = self._rows(webhook.organization_id, webhook.webhook_id)
        with contention_on_condition():
            row.update(
                actions=actions,
                condition=held if condition is None else held & condition,
                add_version_condition=False,
            )
        return _to_webhook(row)

    def _look(self, webhook: Webhook, moment: int | None) -> list[Action]:
        """Even if it is left alone because it fails."""
        return [WebhookRow.quiet_until.set(0), WebhookRow.wakes.add(1), *self._wake_actions(webhook.webhook_id, moment)]

    @staticmethod
    def _wake_actions(webhook_id: str, moment: int | None) -> list[Action]:
        if moment is None:
            return [WebhookRow.wake_at.remove(), WebhookRow.wake_shard.remove()]
        return [WebhookRow.wake_at.set(moment), WebhookRow.wake_shard.set(keys.webhook_shard(webhook_id))]


_ENABLED = WebhookRow.webhook_id.exists() & (WebhookRow.enabled == True)  # noqa: E712 - a condition of DynamoDB


def _set(column: Any, value: object) -> Action:
    action: Action = column.set(value) if value is not None else column.remove()
    return action


def _told(webhook: Webhook) -> dict[str, Any]:
    """Column -> value, of what people can change."""
    return {
        "url": webhook.url,
        "types": sorted(webhook.types) if webhook.types is not None else None,
        "scopes": sorted(webhook.scopes),
        "description": webhook.description,
        "secret": webhook.secret,
        "old_secret": webhook.old_secret,
        "old_secret_expires_at": webhook.old_secret_expires_at,
        "enabled": webhook.enabled,
        "disabled_at": webhook.disabled_at,
        "disabled_reason": webhook.disabled_reason,
        "version": webhook.version,
    }


def _to_webhook(row: WebhookRow) -> Webhook:
    return Webhook(
        organization_id=row.organization_id,
        webhook_id=row.webhook_id,
        url=row.url,
        types=frozenset(row.types) if row.types is not None else None,
        # Another version of the application may know scopes that this one does not.
        scopes=frozenset(scope for scope in Scope if scope in row.scopes),
        description=row.description,
        created_at=row.created_at,
        secret=row.secret,
        old_secret=row.old_secret,
        old_secret_expires_at=int(row.old_secret_expires_at),
        enabled=bool(row.enabled),
        disabled_at=_number(row.disabled_at),
        disabled_reason=row.disabled_reason,
        version=int(row.version),
        progress=Progress(
            position=int(row.position),
            failing_since=_number(row.failing_since),
            quiet_until=int(row.quiet_until),
            replay=_replay(row),
            lease=row.lease,
            lease_until=int(row.lease_until),
            wakes=int(row.wakes),
            wake_at=_number(row.wake_at),
        ),
    )


def _replay(row: WebhookRow) -> Replay | None:
    if row.replay_id is None:
        return None
    return Replay(row.replay_id, int(row.replay_position or 0), int(row.replay_until or 0))


def _number(stored: float | None) -> int | None:
    return int(stored) if stored is not None else None
