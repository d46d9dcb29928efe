"""Users, as operators make and change them; and the password, as its user does."""

import time
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from chalicelib import keys
from chalicelib.accounts.devices import device_proofs
from chalicelib.accounts.passwords import hash_password, password_matches
from chalicelib.accounts.records import EndReason, User
from chalicelib.accounts.sessions import is_username, normalize_username, open_sessions
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.clock import timestamp
from chalicelib.kernel.errors import BadInput, Conflict, NotSignedIn, WrongPassword
from chalicelib.kernel.permissions import Role
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.kernel.tokens import token_digest
from chalicelib.tenants.organizations import get_organization
from chalicelib.uploads.ending import allow_uploads, end_open_uploads
from chalicelib.wiring import Stores


def create_user(
    stores: Stores,
    organization_id: str,
    username: str,
    password: str,
    *,
    role: Role | None = None,
    guessable: bool = False,
) -> User:
    """
    :param role: None makes an owner of the first user, and members of the others.
    :param guessable: take even a password that is tried first, as for a laptop's first user.
    :raises BadInput: no such organisation, an unusable username or password.
    :raises UsernameTaken: in whichever organisation; or one that looks like it.
    """
    organization = get_organization(stores, organization_id)
    if role is None:
        role = Role.MEMBER if organization.owners else Role.OWNER
    user = new_user(stores, organization_id, username, password, role, guessable=guessable)
    stores.users.create(user)
    return user


def new_user(
    stores: Stores, organization_id: str, username: str, password: str, role: Role, *, guessable: bool = False
) -> User:
    """A user that is not written yet.

    :raises BadInput: an unusable username or password.
    """
    username = normalize_username(username)
    if not is_username(username):
        raise BadInput("A username has from 1 to 128 letters, digits, or . @ + - _ characters.")
    return User(
        organization_id=organization_id,
        user_id=keys.new_user_id(),
        username=username,
        password_hash=hash_password(password, stores.settings.bcrypt_cost, None if guessable else username),
        disabled=False,
        created_at=timestamp(),
        role=role,
    )


def list_users(stores: Stores, organization_id: str) -> Iterator[User]:
    get_organization(stores, organization_id)
    return stores.users.of_organization(organization_id)


def set_password(stores: Stores, username: str, password: str) -> None:
    """Also ends every session of the user, at once (OWASP ASVS 5, 7.4.3).

    :raises BadInput: no such user, or an unusable password.
    """
    password_hash = hash_password(password, stores.settings.bcrypt_cost, normalize_username(username))
    _change_user(stores, username, password_hash=password_hash)


def change_password(
    stores: Stores, caller: Caller, token: str, current: str, new: str, device: str | None = None
) -> str:
    """Ends every other session of the user in the same moment (OWASP ASVS 5, 7.4.3); this one goes on.

    :param token: of the session that asks.
    :param device: what the device sent to be known by.
    :return: what the device is known by from now on: the former end with the password.
    :raises WrongPassword: ``current`` is not the password.
    :raises BadInput: ``new`` can't be one.
    :raises NotSignedIn: the session was ended meanwhile, as by somebody who changes the password too.
    """
    cost, token_hash, written = stores.settings.bcrypt_cost, token_digest(token), ""

    def change(user: User | None) -> str:
        nonlocal written
        if user is not None and user.password_hash == written:
            # Only the answer was lost. Hashes are salted, so nobody else has written this one.
            return device_proofs(user, device)
        if user is None or token_hash not in open_sessions(user):
            raise NotSignedIn
        if not password_matches(current, user.password_hash, cost):
            raise WrongPassword
        written = written or hash_password(new, cost, user.username)
        others = [open_session for open_session in open_sessions(user) if open_session != token_hash]
        write_user(stores, user, ended=others, password_hash=written)
        return device_proofs(replace(user, password_hash=written), device)

    return compare_and_swap(
        lambda: stores.users.find(caller.organization_id, caller.user_id),
        change,
        exhausted=Conflict("Your account is being changed by others; try again."),
    )


def set_role(stores: Stores, username: str, role: Role) -> None:
    """Has effect at the user's next request; sessions go on.

    :raises BadInput: no such user.
    :raises LastOwner: of the organisation.
    """

    def write(user: User) -> None:
        write_user(stores, user, ended=(), role=role)

    compare_and_swap(lambda: find_user(stores, username), write, exhausted=_busy(username))


def reset_second_factor(stores: Stores, username: str) -> None:
    """For somebody who has lost it. Also ends every session of the user, at once.

    :raises BadInput: no such user.
    """
    _change_user(stores, username, second_factor=None, pending_secret=None)


def set_disabled(stores: Stores, username: str, disabled: bool) -> None:
    """A disabled user can't log in; every session and every open upload ends at once.

    Also the last owner: an account in wrong hands has to end, and operators can make another owner.

    Repeatable: after a crash half-way, the same call does what is left.

    :raises BadInput: no such user.
    """
    if disabled:
        user = _change_user(stores, username, disabled=True, even_last_owner=True)
        end_open_uploads(stores, user.organization_id, user.user_id)
    else:
        user = find_user(stores, username)
        # Before the user may sign in, or a crash in between would leave one who can't upload.
        allow_uploads(stores, user.organization_id, user.user_id)
        _change_user(stores, username, disabled=False)


def delete_user(stores: Stores, username: str, *, even_last_owner: bool = False) -> None:
    """Their files stay, and go on naming them. The username can be taken again.

    :param even_last_owner: leave the organisation without an owner if need be.
    :raises BadInput: no such user.
    :raises LastOwner: the organisation would be left without one.
    """
    # First they are disabled, which ends what they have open; a crash in between leaves a disabled user.
    user = _change_user(stores, username, disabled=True, even_last_owner=even_last_owner)
    end_open_uploads(stores, user.organization_id, user.user_id)
    compare_and_swap(
        lambda: find_user(stores, username),
        lambda found: stores.users.remove(found, open_sessions(found)),
        exhausted=_busy(username),
    )


def find_user(stores: Stores, username: str) -> User:
    """:raises BadInput: no such user."""
    name = normalize_username(username)
    user = stores.users.find_by_username(name) if is_username(name) else None
    if user is None:
        raise BadInput(f"There is no user '{username}'.")
    return user


def _change_user(stores: Stores, username: str, **changes: Any) -> User:
    def write(user: User) -> User:
        return write_user(stores, user, ended=open_sessions(user), **changes)

    return compare_and_swap(
        lambda: find_user(stores, username),
        write,
        exhausted=_busy(username),
    )


def _busy(username: str) -> Conflict:
    return Conflict(f"The user '{username}' is being changed by others; try again.")


def write_user(
    stores: Stores,
    user: User,
    *,
    ended: Collection[str],
    even_last_owner: bool = False,
    unless_required: bool = False,
    reason: EndReason | None = None,
    **changes: Any,
) -> User:
    """Change the user and end sessions, all in one transaction.

    :param ended: token hashes of the sessions that end; the others go on.
    :param reason: why they end, where the change of the user does not say it.
    :returns: the user as written.
    :raises VersionConflict: the user is not as read any more.
    :raises LastOwner: it would leave the organisation without one.
    :raises SecondFactorRequired: the organisation does, and the change is to be made only if it does not.
    """
    now = time.time()
    # The rows of expired ones may be gone already (DynamoDB's TTL), so nothing can be told to them.
    live = tuple(
        entry
        for entry in user.live_sessions
        if entry.partition(":")[2] not in ended and int(entry.partition(":")[0]) > now
    )
    gone = [entry.partition(":")[2] for entry in user.live_sessions if entry not in live]
    changed = replace(user, **changes, live_sessions=live, version=user.version + 1)
    stores.users.replace(
        user, changed, gone, even_last_owner=even_last_owner, unless_required=unless_required, reason=reason
    )
    return changed
