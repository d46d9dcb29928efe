"""The people of an organisation, as its own owners and admins change them.

Nobody gives, or touches somebody who has, more than they have themselves; and the last owner stays one. The first is
checked on what is read, and the write is conditional on that; the second is a condition of the write itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from chalicelib import keys
from chalicelib.accounts.records import User
from chalicelib.accounts.sessions import open_sessions
from chalicelib.accounts.users import write_user
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput, Conflict, MissingPermission, UserNotFound
from chalicelib.kernel.permissions import Role
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.uploads.ending import allow_uploads, end_open_uploads
from chalicelib.wiring import Stores

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
T = TypeVar("T")


@dataclass(frozen=True)
class Page:
    users: list[User]
    next_cursor: str | None


def list_people(stores: Stores, caller: Caller, *, limit: int, cursor: str | None) -> Page:
    """The users of the caller's organisation, in the order of their ids.

    :raises BadInput: a cursor that is none of ours.
    """
    if cursor is not None and not keys.is_user_id(cursor):
        raise BadInput("cursor is not one of this API.")
    limit = min(limit, MAX_LIMIT)
    users = stores.users.page(caller.organization_id, limit + 1, cursor)
    return Page(users[:limit], users[limit - 1].user_id if len(users) > limit else None)


def get_person(stores: Stores, caller: Caller, user_id: str) -> User:
    """:raises UserNotFound: absent, or another organisation's."""
    user = stores.users.find(caller.organization_id, user_id) if keys.is_user_id(user_id) else None
    if user is None:
        raise UserNotFound
    return user


def change_person(
    stores: Stores, caller: Caller, user_id: str, *, role: Role | None = None, disabled: bool | None = None
) -> User:
    """Has effect at the person's next request. Disabling ends sessions and open uploads; a new role ends nothing.

    Repeatable: after a crash half-way, the same call does what is left.

    :raises UserNotFound: absent, or another organisation's.
    :raises MissingPermission: the person has, or is to have, more than the caller.
    :raises LastOwner: the organisation would be left without one.
    """
    if role is not None and not caller.may_give(role):
        raise MissingPermission(f"You can't make anybody {_a(role)}: that is more than you may do yourself.")

    def change(user: User) -> User:
        changes: dict[str, Any] = {}
        if role is not None:
            changes["role"] = role
        if disabled is not None:
            changes["disabled"] = disabled
        return write_user(stores, user, ended=open_sessions(user) if disabled else (), **changes)

    if disabled is False:
        _touchable(caller, get_person(stores, caller, user_id))
        # Before the person may sign in, or a crash in between would leave one who can't upload.
        allow_uploads(stores, caller.organization_id, user_id)
    changed = _change(stores, caller, user_id, change)
    if disabled:
        end_open_uploads(stores, caller.organization_id, user_id)
    return changed


def remove_person(stores: Stores, caller: Caller, user_id: str) -> None:
    """Delete a user. Their files stay, and go on naming them.

    :raises UserNotFound: absent, or another organisation's.
    :raises MissingPermission: the person has more than the caller.
    :raises LastOwner: the organisation would be left without one.
    """
    # First they are disabled, which ends what they have open; a crash in between leaves a disabled user.
    change_person(stores, caller, user_id, disabled=True)
    _change(stores, caller, user_id, lambda user: stores.users.remove(user, open_sessions(user)))


def sign_out_person(stores: Stores, caller: Caller, user_id: str) -> int:
    """End every session of a person.

    :returns: how many there were.
    :raises UserNotFound: absent, or another organisation's.
    :raises MissingPermission: the person has more than the caller.
    """

    def end(user: User) -> int:
        write_user(stores, user, ended=open_sessions(user))
        return len(user.live_sessions)

    return _change(stores, caller, user_id, end)


def reset_second_factor(stores: Stores, caller: Caller, user_id: str) -> int:
    """For somebody who has lost it: the next login needs none, or sets up another where the organisation requires one.

    Ends every session of the person.

    :returns: how many there were.
    :raises UserNotFound: absent, or another organisation's.
    :raises MissingPermission: the person has more than the caller, or is the caller.
    """
    if user_id == caller.user_id:
        # A session alone must not do what else takes the password and a code.
        raise MissingPermission("Ask somebody else to reset it for you, or remove it with your password and a code.")

    def reset(user: User) -> int:
        write_user(stores, user, ended=open_sessions(user), second_factor=None, pending_secret=None)
        return len(user.live_sessions)

    return _change(stores, caller, user_id, reset)


def _change(stores: Stores, caller: Caller, user_id: str, change: Callable[[User], T]) -> T:
    def swap(user: User) -> T:
        _touchable(caller, user)
        return change(user)

    return compare_and_swap(
        lambda: get_person(stores, caller, user_id),
        swap,
        exhausted=Conflict("This user is being changed by others; try again."),
    )


def _touchable(caller: Caller, user: User) -> None:
    """:raises MissingPermission: the person has more than the caller."""
    if not caller.may_give(user.role):
        raise MissingPermission(f"{user.username} is {_a(user.role)}, and may do more than you: you can't change that.")


def _a(role: Role) -> str:
    return f"an {role}" if role[0] in "ao" else f"a {role}"
