"""Invitations, sign-up and names that look alike."""

from __future__ import annotations

from tests.protections.catalogue.places import INVITATIONS_TESTS, LOOKALIKES_TESTS, ORGANIZATION_TESTS
from tests.protections.catalogue.protection import Protection

INVITATIONS = (
    Protection(
        "Nobody invites to more than their own role",
        "invite",
        "_check_giver(caller, wanted.role)",
        "pass",
        (f"{INVITATIONS_TESTS}::test_nobody_invites_to_more_than_their_own_role",),
    ),
    Protection(
        "Nobody resends or deletes an invitation to more than their own role",
        "_change",
        "_check_giver(caller, invitation.role)",
        "pass",
        (f"{INVITATIONS_TESTS}::test_nobody_invites_to_more_than_their_own_role",),
    ),
    Protection(
        "Only the hash of an invitation's token is stored",
        "_invite",
        "token_hash=token_digest(token)",
        "token_hash=token",
        (f"{INVITATIONS_TESTS}::test_open_invitations_are_listed_without_their_token",),
    ),
    Protection(
        "An invitation is found by its whole token, not by the ids in it",
        "_find_by_token",
        "not hmac.compare_digest(invitation.token_hash, token_digest(token))",
        "False",
        (f"{INVITATIONS_TESTS}::test_every_dead_token_gets_the_same_answer",),
    ),
    Protection(
        "An expired invitation is refused although its row is there",
        "_find_by_token",
        "invitation.expires_at <= time.time()",
        "False",
        (f"{INVITATIONS_TESTS}::test_expired_token_is_told_nothing_about_name_and_password",),
    ),
    Protection(
        "An invitation that expires while it is accepted is refused",
        "InvitationStore.accept",
        "(InvitationRow.token_hash == invitation.token_hash) & (InvitationRow.expires_at > now)",
        "InvitationRow.token_hash == invitation.token_hash",
        (f"{INVITATIONS_TESTS}::test_invitation_that_expires_at_the_last_moment_is_dead",),
    ),
    Protection(
        "An invitation is accepted once",
        "InvitationStore.accept",
        "condition=as_read",
        "pass",
        (f"{INVITATIONS_TESTS}::test_resent_at_the_last_moment_the_token_before_is_dead",),
    ),
    Protection(
        "Whoever invited may still give the role when the invitation is accepted",
        "InvitationStore._checks_on",
        "[lambda transaction: self._users.check_role(transaction, organization_id, inviter.id, givers)]",
        "[]",
        (
            f"{INVITATIONS_TESTS}::test_inviter_who_may_not_any_more_invites_nobody",
            f"{INVITATIONS_TESTS}::test_inviter_demoted_at_the_last_moment_is_refused",
        ),
    ),
    Protection(
        "A disabled user invites nobody",
        "UserStore.check_role",
        "has_role & enabled",
        "has_role",
        (f"{INVITATIONS_TESTS}::test_inviter_who_may_not_any_more_invites_nobody",),
    ),
    Protection(
        "An inviter of a kind that can't be checked invites nobody",
        "InvitationStore._checks_on",
        "raise InvitationWithdrawn",
        "return []",
        (f"{INVITATIONS_TESTS}::test_inviter_of_an_unknown_kind_invites_nobody",),
    ),
    Protection(
        "One address is invited once",
        "InvitationStore.create",
        "self._save(invitation, free, event_of_creation(invitation))",
        "self._save(invitation, InvitationRow.token_hash != '', event_of_creation(invitation))",
        (
            f"{INVITATIONS_TESTS}::test_one_address_is_invited_once_however_it_is_written",
            f"{INVITATIONS_TESTS}::test_two_invitations_of_one_address_at_once_make_one",
        ),
    ),
    Protection(
        "An invitation that is accepted at this moment is not resent",
        "InvitationStore.renew",
        "self._save(renewed, as_read, event_of_renewal(invitation, renewed))",
        "self._save(renewed, InvitationRow.token_hash != '', event_of_renewal(invitation, renewed))",
        (f"{INVITATIONS_TESTS}::test_accepted_at_the_last_moment_it_can_neither_be_resent_nor_deleted_unnoticed",),
    ),
    Protection(
        "Guesses at tokens are limited by address",
        "accept",
        "limits.reserve_acceptance(stores(), source_address(request))",
        "(limits.count_anonymous(stores(), source_address(request), with_token=True), limits.Reserved(()))",
        (f"{INVITATIONS_TESTS}::test_acceptances_that_fail_are_limited_by_address",),
    ),
    Protection(
        "Invitations, each of which may be a mail to a stranger, are limited by organisation",
        "invite",
        "report_limit(request, limits.count_invitation(stores(), caller))",
        "pass",
        (f"{INVITATIONS_TESTS}::test_invitations_of_an_organization_are_limited_together",),
    ),
    Protection(
        "An organisation has a bounded number of invitations",
        "_invite",
        "stores.invitations.count(organization_id) >= MAX_OPEN",
        "False",
        (f"{INVITATIONS_TESTS}::test_an_organization_has_a_bounded_number_of_them",),
    ),
    Protection(
        "Sign-up is closed unless operators open it",
        "check_open",
        "stores.settings.sign_up != 'open'",
        "False",
        (f"{ORGANIZATION_TESTS}::test_sign_up_is_closed_unless_operators_open_it",),
    ),
    Protection(
        "A sign-up whose name is taken makes no organisation",
        "UserStore.create_with_organization",
        "add_organization(transaction)",
        "self._tables.transact(add_organization)",
        (
            f"{ORGANIZATION_TESTS}::test_taken_name_makes_no_organization",
            f"{ORGANIZATION_TESTS}::test_of_two_sign_ups_with_one_name_one_makes_an_organization",
        ),
    ),
    Protection(
        "Sign-ups are limited by address",
        "create_organization",
        "report_limit(request, limits.count_sign_up(stores(), client_of(request).address))",
        "pass",
        (f"{ORGANIZATION_TESTS}::test_sign_ups_are_limited_by_address",),
    ),
    Protection(
        "A change of the organisation touches only the fields that it names",
        "OrganizationStore.replace",
        "condition=as_read",
        "pass",
        (f"{ORGANIZATION_TESTS}::test_of_two_changes_at_once_none_is_lost",),
    ),
    Protection(
        "A name that looks like another is refused",
        "UserStore.add_to",
        "transaction.save(self._skeleton(user), condition=UsernameRow.username.does_not_exist())",
        "transaction.save(self._skeleton(user))",
        (
            f"{LOOKALIKES_TESTS}::test_look_alikes_have_one_skeleton_and_either_may_come_first",
            f"{LOOKALIKES_TESTS}::test_one_of_two_look_alikes_at_once_is_created",
        ),
    ),
    Protection(
        "Removing a look-alike from before leaves the protection of the first name",
        "UserStore._owns_skeleton",
        "row.user_id == user.user_id",
        "True",
        (f"{LOOKALIKES_TESTS}::test_removing_the_later_look_alike_keeps_the_first_ones_protection",),
    ),
    Protection(
        "A migration gives no name's looks to a second user",
        "UserStore.claim_skeleton",
        "condition=UsernameRow.username.does_not_exist() | own",
        "pass",
        (f"{LOOKALIKES_TESTS}::test_names_from_before_are_protected_and_later_look_alikes_reported",),
    ),
)
