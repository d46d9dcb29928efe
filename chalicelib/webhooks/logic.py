"""Webhooks: made, changed and deleted by people and keys.

A webhook belongs to its organisation and not to whoever made it. It is told nothing that its maker could not read, and
whoever changes one could read all that it is told: else it could be sent elsewhere by somebody who may not see it.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import TypeVar

from chalicelib import keys
from chalicelib.events.feed import visible_types
from chalicelib.events.records import EventType, scope_of
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import (
    BadInput,
    Conflict,
    MissingPermission,
    TooManyWebhooks,
    VersionConflict,
    WebhookNotFound,
)
from chalicelib.kernel.nfc import compose
from chalicelib.kernel.permissions import Scope
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.webhooks.event_records import event_of, events_of_change
from chalicelib.webhooks.records import Progress, Webhook
from chalicelib.webhooks.signatures import new_secret
from chalicelib.webhooks.wakeups import LOOK_AGAIN_SECONDS, wake_now
from chalicelib.wiring import Stores

#: Of an organisation.
MAX_WEBHOOKS = 20
#: Ample for any address, and little in a row.
MAX_URL_CHARACTERS = 2000
MAX_DESCRIPTION_CHARACTERS = 200
MAX_OLD_SECRET_SECONDS = 7 * 24 * 3600
BY_PEOPLE = "It was disabled on request."
_BUSY = "The webhooks of your organisation are being changed by others; try again."

T = TypeVar("T")


@dataclass(frozen=True)
class NewSecret:
    """A webhook with a new secret, which is shown here and never again."""

    webhook: Webhook
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class WebhookChange:
    """What somebody wants changed; None leaves it as it is.

    :param all_types: in place of ``types``.
    """

    url: str | None = None
    types: Collection[str] | None = None
    all_types: bool = False
    description: str | None = None
    enabled: bool | None = None


def list_webhooks(stores: Stores, caller: Caller) -> list[Webhook]:
    """The oldest first."""
    return stores.webhooks.of_organization(caller.organization_id).webhooks


def get_webhook(stores: Stores, caller: Caller, webhook_id: str) -> Webhook:
    """:raises WebhookNotFound: absent, or another organisation's."""
    found = stores.webhooks.find(caller.organization_id, webhook_id) if keys.is_webhook_id(webhook_id) else None
    if found is None:
        raise WebhookNotFound
    return found


def get_own_webhook(stores: Stores, caller: Caller, webhook_id: str) -> Webhook:
    """One that the caller may change.

    :raises WebhookNotFound: absent, or another organisation's.
    :raises MissingPermission: it is told what the caller may not see.
    """
    webhook = get_webhook(stores, caller, webhook_id)
    _check_sees_all(caller, webhook)
    return webhook


def create_webhook(
    stores: Stores, caller: Caller, url: str, types: Collection[str] | None, description: str = ""
) -> NewSecret:
    """It is told what happens from now on.

    :param types: None for all that the caller may see, those that come later included.
    :raises BadInput: an address that can't be posted to, no or an unknown type, a description that can't be shown.
    :raises MissingPermission: the caller may not see one of the types.
    :raises TooManyWebhooks: of the organisation.
    """
    chosen, scopes = _checked_types(caller, types)
    webhook = Webhook(
        organization_id=caller.organization_id,
        webhook_id=keys.new_webhook_id(),
        url=_checked_url(stores, url),
        types=chosen,
        scopes=scopes,
        description=_checked_description(description),
        created_at=timestamp(),
        secret=new_secret(),
        progress=Progress(
            position=stores.feed.last_sequence(caller.organization_id), wake_at=int(time.time()) + LOOK_AGAIN_SECONDS
        ),
    )

    def create(_: object) -> NewSecret:
        listed = stores.webhooks.of_organization(caller.organization_id)
        if all(known.webhook_id != webhook.webhook_id for known in listed.webhooks):
            if len(listed.webhooks) >= MAX_WEBHOOKS:
                raise TooManyWebhooks
            stores.webhooks.create(webhook, listed.made, event_of(EventType.WEBHOOK_CREATED, webhook))
        # Else only the answer of the write was lost.
        return NewSecret(webhook, webhook.secret)

    return compare_and_swap(lambda: None, create, exhausted=Conflict(_BUSY), waits=True)


def change_webhook(stores: Stores, caller: Caller, webhook_id: str, wanted: WebhookChange) -> Webhook:
    """One that is enabled again goes on with what happens from now on.

    :raises WebhookNotFound: absent, or another organisation's.
    :raises BadInput: as :func:`create_webhook`.
    :raises MissingPermission: the webhook is told, or would be, what the caller may not see.
    """

    def change(webhook: Webhook) -> Webhook:
        after = _changed(stores, caller, webhook, wanted)
        if after == webhook:
            return webhook
        after = replace(after, version=webhook.version + 1)
        stores.webhooks.replace(webhook, after, *events_of_change(webhook, after))
        if after.enabled and (not webhook.enabled or after.url != webhook.url):
            wake_now(stores, after)
        return after

    return _change(stores, caller, webhook_id, change)


def rotate_secret(stores: Stores, caller: Caller, webhook_id: str, old_secret_seconds: int) -> NewSecret:
    """Deliveries are signed with both secrets as long as the present one lives on; one from a rotation before ends now.

    :raises WebhookNotFound: absent, or another organisation's.
    :raises BadInput: the time is out of bounds.
    :raises MissingPermission: the webhook is told what the caller may not see.
    :raises Conflict: somebody else has rotated it at the same moment.
    """
    if not 0 <= old_secret_seconds <= MAX_OLD_SECRET_SECONDS:
        raise BadInput(f"old_secret_seconds goes from 0 to {MAX_OLD_SECRET_SECONDS}.")
    secret = new_secret()
    seen: str | None = None

    def rotate(webhook: Webhook) -> NewSecret:
        nonlocal seen
        if webhook.secret == secret:
            # Only the answer of the write was lost.
            return NewSecret(webhook, secret)
        seen = seen or webhook.secret
        if webhook.secret != seen:
            raise Conflict("Somebody else has rotated this secret at the same moment; ask again if you still want to.")
        after = replace(
            webhook,
            secret=secret,
            old_secret=webhook.secret if old_secret_seconds else None,
            old_secret_expires_at=int(time.time()) + old_secret_seconds if old_secret_seconds else 0,
            version=webhook.version + 1,
        )
        stores.webhooks.replace(webhook, after, event_of(EventType.WEBHOOK_SECRET_ROTATED, after))
        return NewSecret(after, secret)

    return _change(stores, caller, webhook_id, rotate)


def delete_webhook(stores: Stores, caller: Caller, webhook_id: str) -> None:
    """Nothing more is delivered, but for what is being posted at this moment.

    :raises WebhookNotFound: absent, or another organisation's.
    :raises MissingPermission: the webhook is told what the caller may not see.
    """
    _change(
        stores,
        caller,
        webhook_id,
        lambda webhook: stores.webhooks.delete(webhook, event_of(EventType.WEBHOOK_DELETED, webhook)),
    )


def delete_as_operator(stores: Stores, organization_id: str, webhook_id: str) -> None:
    """As :func:`delete_webhook`. Repeatable."""

    def delete(webhook: Webhook | None) -> None:
        if webhook is not None:
            stores.webhooks.delete(webhook, event_of(EventType.WEBHOOK_DELETED, webhook))

    compare_and_swap(
        lambda: stores.webhooks.find(organization_id, webhook_id), delete, exhausted=Conflict(_BUSY), waits=True
    )


def disable_webhook(stores: Stores, webhook: Webhook, reason: str) -> bool:
    """By whoever delivers, who has found that it is no use.

    :returns: whether it was; not when somebody has changed it meanwhile.
    """
    after = _disabled(webhook, reason)
    try:
        stores.webhooks.replace(webhook, after, *events_of_change(webhook, after))
    except VersionConflict:
        return False
    return True


def _change(stores: Stores, caller: Caller, webhook_id: str, change: Callable[[Webhook], T]) -> T:
    return compare_and_swap(
        lambda: get_own_webhook(stores, caller, webhook_id), change, exhausted=Conflict(_BUSY), waits=True
    )


def _changed(stores: Stores, caller: Caller, webhook: Webhook, wanted: WebhookChange) -> Webhook:
    after = webhook
    if wanted.all_types or wanted.types is not None:
        chosen, scopes = _checked_types(caller, wanted.types)
        after = replace(after, types=chosen, scopes=scopes)
    if wanted.description is not None:
        after = replace(after, description=_checked_description(wanted.description))
    if wanted.url is not None and wanted.url != webhook.url:
        after = replace(after, url=_checked_url(stores, wanted.url))
        after = replace(after, progress=replace(after.progress, wake_at=int(time.time())))
    if wanted.enabled is False and webhook.enabled:
        return _disabled(after, BY_PEOPLE)
    if wanted.enabled and not webhook.enabled:
        position = stores.feed.last_sequence(webhook.organization_id)
        progress = replace(after.progress, position=position, wake_at=int(time.time()))
        after = replace(after, enabled=True, disabled_at=None, disabled_reason=None, progress=progress)
    return after


def _disabled(webhook: Webhook, reason: str) -> Webhook:
    return replace(
        webhook, enabled=False, disabled_at=int(time.time()), disabled_reason=reason, version=webhook.version + 1
    )


def _check_sees_all(caller: Caller, webhook: Webhook) -> None:
    """:raises MissingPermission: the webhook is told what the caller may not see."""
    missing = sorted(webhook.scopes_needed - caller.scopes)
    if missing:
        raise MissingPermission(
            f"This webhook is told what needs the permission {missing[0]}, which you do not have yourself."
        )


def _checked_types(caller: Caller, types: Collection[str] | None) -> tuple[frozenset[str] | None, frozenset[Scope]]:
    """
    :raises BadInput: none, or an unknown one.
    :raises MissingPermission: the caller may not see one.
    """
    if types is None:
        return None, frozenset(scope_of(kind) for kind in visible_types(caller, None))
    if not types:
        raise BadInput("types must name at least one type of event; leave it out for all.")
    return visible_types(caller, types), frozenset()


def _checked_url(stores: Stores, url: str) -> str:
    """:raises BadInput: nothing can be posted there, or nothing may."""
    if len(url) > MAX_URL_CHARACTERS:
        raise BadInput(f"url has at most {MAX_URL_CHARACTERS} characters.")
    stores.sender.check(url)
    return url


def _checked_description(raw: str) -> str:
    """:raises BadInput: too long, or of characters that can't be shown."""
    text = compose(raw.strip())
    if len(text) > MAX_DESCRIPTION_CHARACTERS or not text.isprintable():
        raise BadInput(f"description has at most {MAX_DESCRIPTION_CHARACTERS} characters, all of which can be shown.")
    return text
