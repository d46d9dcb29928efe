"""API keys: made, changed and ended by people and by other keys, and what a key may do.

A key belongs to its organisation and not to whoever made it. Nothing gives more than its maker has: neither scopes nor,
where the maker is a key, networks and life. Whoever changes a key has all of its scopes.
"""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from chalicelib.api_keys import key_text
from chalicelib.api_keys.key_intent import (
    KeyIntent,
    check_may_hold,
    check_scopes,
    checked_days,
    checked_name,
    checked_networks,
    checked_scopes,
    expiry_within,
    networks_within,
)
from chalicelib.api_keys.records import HOUR_SECONDS, ApiKey, ApiKeys, Maker
from chalicelib.kernel.acting import ActorKind, acting_as
from chalicelib.kernel.caller import ActorType, Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import (
    ApiKeyNotFound,
    BadInput,
    Conflict,
    MissingPermission,
    NotSignedIn,
    TooManyApiKeys,
    VersionConflict,
)
from chalicelib.kernel.permissions import Scope
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.kernel.tokens import token_digest
from chalicelib.uploads.ending import end_open_uploads
from chalicelib.wiring import Stores

#: Of an organisation, ended ones included as long as they are listed.
MAX_KEYS = 100
MAX_OLD_SECRET_SECONDS = 7 * 24 * 3600
_NOT_VALID = "This API key is not valid: it is mistyped, expired or revoked."
_KEY_ENDED = "The API key that started this upload was deleted or revoked before its bytes arrived."
_BUSY = "The keys of your organisation are being changed by others; try again."

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class NewSecret:
    """A key with a new secret. Only here is there a text: what is stored is a hash."""

    key: ApiKey
    text: str = field(repr=False)


# ---- who a key is ------------------------------------------------------------------------------------------------
def authenticate_key(stores: Stores, text: str, address: str) -> Caller:
    """Who this key is. One read, strongly consistent; none for what is no key by its form.

    :param address: where it is sent from.
    :raises NotSignedIn: mistyped, unknown, expired or revoked.
    :raises MissingPermission: sent from outside its networks.
    """
    parsed = key_text.parse(text)
    if parsed is None:
        raise NotSignedIn(_NOT_VALID)
    return caller_by_hash(stores, parsed.organization_id, parsed.key_id, token_digest(text), address)


def caller_by_hash(stores: Stores, organization_id: str, key_id: str, secret_hash: str, address: str) -> Caller:
    """As :func:`authenticate_key`, by what is stored of a key: an upload ticket knows no more."""
    now = time.time()
    key = stores.api_keys.find(organization_id, key_id)
    if key is None or not key.is_live(now) or not key.has_secret(secret_hash, now):
        raise NotSignedIn(_NOT_VALID)
    if not key.allows(address):
        raise MissingPermission(f"This API key does not work from {address}: it is bound to other networks.")
    _note_use(stores, key, int(now) // HOUR_SECONDS)
    return key.caller


def _note_use(stores: Stores, key: ApiKey, hour: int) -> None:
    """At most one write an hour. That it fails is no reason to refuse a request."""
    if key.last_used_hour is not None and key.last_used_hour >= hour:
        return
    try:
        stores.api_keys.note_use(key, hour)
    except VersionConflict:
        pass
    except Exception as error:
        _log.warning("The last use of an API key was not noted (%s)", type(error).__name__)


# ---- by people and keys ------------------------------------------------------------------------------------------
def list_keys(stores: Stores, organization_id: str) -> list[ApiKey]:
    """The oldest first; those that have ended are listed for a while."""
    return sorted(stores.api_keys.of_organization(organization_id).keys, key=lambda key: (key.created_at, key.key_id))


def create_key(stores: Stores, caller: Caller, wanted: KeyIntent) -> NewSecret:
    """
    :raises BadInput: no name, an unknown scope or network, a life out of bounds.
    :raises MissingPermission: it would have more than the caller.
    :raises TooManyApiKeys: of the organisation.
    """
    check_scopes(caller, checked_scopes(wanted.scopes))
    if wanted.never and not caller.may(Scope.SECURITY_MANAGE):
        raise MissingPermission.of(Scope.SECURITY_MANAGE)
    maker = Maker(caller.type.value, caller.user_id, caller.username)
    return _create(stores, caller.organization_id, maker, wanted, lambda listed: _asking_key(caller, listed))


def create_key_as_operator(stores: Stores, organization_id: str, maker: Maker, wanted: KeyIntent) -> NewSecret:
    """
    :raises BadInput: as :func:`create_key`.
    :raises TooManyApiKeys: of the organisation.
    """
    return _create(stores, organization_id, maker, wanted, lambda _: None)


def change_key(
    stores: Stores, caller: Caller, key_id: str, *, name: str | None = None, scopes: Collection[str] | None = None
) -> ApiKey:
    """Has effect at the next request with the key.

    :raises ApiKeyNotFound: absent, or another organisation's.
    :raises MissingPermission: the key has more than the caller.
    :raises BadInput: not a name, or more scopes than the key has.
    """
    changed_name = checked_name(name) if name is not None else None
    narrower = checked_scopes(scopes) if scopes is not None else None

    def change(key: ApiKey) -> ApiKey:
        if narrower is not None and not narrower <= key.scopes:
            more = ", ".join(sorted(narrower - key.scopes))
            raise BadInput(f"A key's scopes can only become fewer, and this one lacks {more}; make a new key.")
        return _write(
            stores,
            key,
            name=changed_name if changed_name is not None else key.name,
            scopes=narrower if narrower is not None else key.scopes,
        )

    return _change(stores, caller, key_id, change)


def rotate_key(stores: Stores, caller: Caller, key_id: str, old_secret_seconds: int) -> NewSecret:
    """Give the key a new secret; the present one lives on for so long, and one from a rotation before dies now.

    Its expiry stays.

    :raises ApiKeyNotFound: absent, or another organisation's.
    :raises MissingPermission: the key has more than the caller, or is one that the caller could not have made.
    :raises BadInput: the time is out of bounds.
    :raises Conflict: the key has ended, or somebody else rotates it at the same moment.
    """
    if not 0 <= old_secret_seconds <= MAX_OLD_SECRET_SECONDS:
        raise BadInput(f"The old secret lives on for 0 to {MAX_OLD_SECRET_SECONDS} seconds.")
    text = key_text.new_text(key_id)
    secret_hash, seen = token_digest(text), ""

    def rotate(key: ApiKey) -> NewSecret:
        nonlocal seen
        if key.secret_hash == secret_hash:
            # Only the answer of the write was lost.
            return NewSecret(key, text)
        now = time.time()
        seen = seen or key.secret_hash
        if key.secret_hash != seen:
            raise Conflict("Somebody else has rotated this key at the same moment; ask again if you still want to.")
        _check_may_hold(stores, caller, key)
        if not key.is_live(now):
            raise Conflict("This key has expired or was revoked; make a new one.")
        rotated = _write(
            stores,
            key,
            secret_hash=secret_hash,
            old_secret_hash=key.secret_hash if old_secret_seconds else None,
            old_secret_expires_at=int(now) + old_secret_seconds if old_secret_seconds else 0,
        )
        return NewSecret(rotated, text)

    return _change(stores, caller, key_id, rotate)


def delete_key(stores: Stores, caller: Caller, key_id: str) -> None:
    """End the key, then what it has open, then forget it. After a crash in between, the same call does what is left.

    :raises ApiKeyNotFound: absent, or another organisation's.
    :raises MissingPermission: the key has more than the caller.
    """
    key = _change(stores, caller, key_id, lambda key: _revoked(stores, key))
    _end_uploads(stores, key)
    stores.api_keys.delete(key)


def revoke_by_text(stores: Stores, text: str) -> None:
    """End the key that somebody holds. Does not tell whether there is one; repeatable."""
    parsed = key_text.parse(text)
    key = stores.api_keys.find(parsed.organization_id, parsed.key_id) if parsed is not None else None
    # A secret that has died by a rotation ends nothing: it may have been given away because it is worthless.
    if key is not None and key.has_secret(token_digest(text), time.time()):
        with acting_as(ActorKind.API_KEY, key.key_id, key.name):
            revoke_by_id(stores, key.key_id)


def revoke_by_id(stores: Stores, key_id: str) -> ApiKey:
    """End a key and what it has open. It is listed as revoked for a while. Repeatable.

    :raises ApiKeyNotFound: absent.
    """
    organization_id = key_text.organization_of(key_id) or ""
    key = compare_and_swap(
        lambda: _find(stores, organization_id, key_id),
        lambda key: _revoked(stores, key),
        exhausted=Conflict(_BUSY),
    )
    _end_uploads(stores, key)
    return key


def delete_by_id(stores: Stores, key_id: str) -> None:
    """As :func:`revoke_by_id`, and the key is not listed any more.

    :raises ApiKeyNotFound: absent.
    """
    stores.api_keys.delete(revoke_by_id(stores, key_id))


def get_key(stores: Stores, caller: Caller, key_id: str) -> ApiKey:
    """:raises ApiKeyNotFound: absent, or another organisation's."""
    return _find(stores, caller.organization_id, key_id)


# ---- how it is done ----------------------------------------------------------------------------------------------
def _create(
    stores: Stores,
    organization_id: str,
    maker: Maker,
    wanted: KeyIntent,
    asking_key: Callable[[ApiKeys], ApiKey | None],
) -> NewSecret:
    name, scopes, networks = checked_name(wanted.name), checked_scopes(wanted.scopes), checked_networks(wanted.networks)
    days = checked_days(wanted.days)
    key_id = key_text.new_key_id(organization_id)
    text = key_text.new_text(key_id)

    def create(listed: ApiKeys) -> NewSecret:
        made = next((key for key in listed.keys if key.key_id == key_id), None)
        if made is not None:
            # Only the answer of the write was lost.
            return NewSecret(made, text)
        if len(listed.keys) >= MAX_KEYS:
            raise TooManyApiKeys
        asking = asking_key(listed)
        key = ApiKey(
            organization_id=organization_id,
            key_id=key_id,
            name=name,
            scopes=scopes,
            networks=networks_within(asking, networks),
            made_by=maker,
            created_at=timestamp(),
            expires_at=expiry_within(asking, days, wanted.never, time.time()),
            secret_hash=token_digest(text),
        )
        stores.api_keys.create(key, listed.made)
        return NewSecret(key, text)

    return compare_and_swap(
        lambda: stores.api_keys.of_organization(organization_id), create, exhausted=Conflict(_BUSY), waits=True
    )


def _asking_key(caller: Caller, listed: ApiKeys) -> ApiKey | None:
    """The key that asks for another one; None when a person asks.

    :raises NotSignedIn: it was revoked meanwhile.
    """
    if caller.type is not ActorType.API_KEY:
        return None
    own = next((key for key in listed.keys if key.key_id == caller.user_id), None)
    if own is None or not own.is_live(time.time()):
        raise NotSignedIn(_NOT_VALID)
    return own


def _check_may_hold(stores: Stores, caller: Caller, key: ApiKey) -> None:
    """Whoever rotates a key gets its secret, so it must be one that they could have made.

    :raises MissingPermission: it is not.
    """
    if key.expires_at is None and not caller.may(Scope.SECURITY_MANAGE):
        raise MissingPermission.of(Scope.SECURITY_MANAGE)
    if caller.type is ActorType.API_KEY:
        asking = stores.api_keys.find(caller.organization_id, caller.user_id)
        if asking is None:
            raise NotSignedIn(_NOT_VALID)
        check_may_hold(asking, key)


def _change(stores: Stores, caller: Caller, key_id: str, change: Callable[[ApiKey], T]) -> T:
    def swap(key: ApiKey) -> T:
        check_scopes(caller, key.scopes)
        return change(key)

    return compare_and_swap(lambda: get_key(stores, caller, key_id), swap, exhausted=Conflict(_BUSY))


def _find(stores: Stores, organization_id: str, key_id: str) -> ApiKey:
    # An id names its organisation, so what can't be in this one is not looked up.
    theirs = key_text.organization_of(key_id) != organization_id
    key = None if theirs else stores.api_keys.find(organization_id, key_id)
    if key is None:
        raise ApiKeyNotFound
    return key


def _revoked(stores: Stores, key: ApiKey) -> ApiKey:
    return key if key.revoked_at is not None else _write(stores, key, revoked_at=int(time.time()))


def _write(stores: Stores, key: ApiKey, **changes: Any) -> ApiKey:
    changed = replace(key, **changes, version=key.version + 1)
    stores.api_keys.replace(key, changed)
    return changed


def _end_uploads(stores: Stores, key: ApiKey) -> None:
    end_open_uploads(stores, key.organization_id, key.key_id, reason=_KEY_ENDED)
