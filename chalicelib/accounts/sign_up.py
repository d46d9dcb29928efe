"""Sign-up: somebody without an account creates an organisation and is its owner, where operators allow it."""

from dataclasses import dataclass

from chalicelib.accounts.records import SignInMethod
from chalicelib.accounts.sessions import UNKNOWN_CLIENT, Client, SignedIn, sign_in_created
from chalicelib.accounts.users import new_user
from chalicelib.kernel.acting import ActorKind, acting_as
from chalicelib.kernel.errors import SignUpClosed, UsernameTaken
from chalicelib.kernel.permissions import Role
from chalicelib.tenants.organization import Organization
from chalicelib.tenants.organizations import new_organization, organization_of
from chalicelib.wiring import Stores


@dataclass(frozen=True)
class SignedUp:
    organization: Organization
    session: SignedIn


def check_open(stores: Stores) -> None:
    """:raises SignUpClosed: operators create the organisations here."""
    if stores.settings.sign_up != "open":
        raise SignUpClosed


def sign_up(stores: Stores, name: str, username: str, password: str, client: Client = UNKNOWN_CLIENT) -> SignedUp:
    """Create the organisation with the default quotas, and its owner, in one transaction; then sign the owner in.

    :raises SignUpClosed: operators create the organisations here.
    :raises BadInput: an unusable name, username or password.
    :raises UsernameTaken: or one that looks like it.
    """
    check_open(stores)
    made = new_organization(stores, name)
    user = new_user(stores, made.organization_id, username, password, Role.OWNER)
    try:
        with acting_as(ActorKind.USER, user.user_id, user.username):
            stores.users.create_with_organization(user, lambda to: stores.organizations.add_to(to, made))
    except UsernameTaken:
        # Unless it was this very sign-up that took it, and only the answer was lost.
        if stores.users.find(user.organization_id, user.user_id) is None:
            raise
    session = sign_in_created(stores, user, client, SignInMethod.SIGN_UP)
    return SignedUp(organization_of(stores, session.caller), session)
