"""Events: each change has its own, in its transaction; what was refused has none; and who reads which."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    COMMAND_EVENTS_TESTS,
    EVERY_CHANGE_TESTS,
    FAILED_LOGINS_TESTS,
    SCHEMA_TESTS,
    VISIBILITY_TESTS,
)
from tests.protections.catalogue.protection import Protection


def told(act: str) -> tuple[str, ...]:
    return (f"{EVERY_CHANGE_TESTS}::test_change_is_told[{act}]",)


def command_told(act: str) -> tuple[str, ...]:
    return (f"{COMMAND_EVENTS_TESTS}::test_command_is_told[{act}]",)


EVENTS = (
    Protection(
        "A new user is told",
        "UserStore.add_to",
        "self._outbox.add(transaction, event_of_creation(user))",
        "pass",
        (*command_told("users create: new_user"), *told("POST /invitations/accept accepted")),
    ),
    Protection(
        "A change of a user is told",
        "UserStore.replace",
        "self._outbox.add(transaction, *events)",
        "pass",
        (*told("PATCH /users/{user_id} role"), *told("POST /auth/logout logout")),
    ),
    Protection(
        "The removal of a user is told",
        "UserStore.remove",
        "self._outbox.add(transaction, *events)",
        "pass",
        told("DELETE /users/{user_id} removed"),
    ),
    Protection(
        "A login is told",
        "UserStore.start_session",
        "self._outbox.add(transaction, *events)",
        "pass",
        told("POST /auth/login right_password"),
    ),
    Protection(
        "A failed login is told",
        "tell_failure",
        "stores.outbox.put(event_of_failure(caller, name, step, secrets.token_hex(16)))",
        "pass",
        (*told("POST /auth/login wrong_password"), *told("POST /auth/second-factor wrong_code")),
    ),
    Protection(
        "A change of an invitation is told",
        "InvitationStore._save",
        "self._outbox.add(transaction, event)",
        "pass",
        (*told("POST /invitations invited"), *told("POST /invitations/{invitation_id}/resend resent")),
    ),
    Protection(
        "A deleted invitation is told",
        "InvitationStore.delete",
        "self._outbox.add(transaction, event_of_deletion(invitation))",
        "pass",
        told("DELETE /invitations/{invitation_id} revoked"),
    ),
    Protection(
        "An accepted invitation is told",
        "InvitationStore.accept",
        "self._outbox.add(transaction, event_of_acceptance(invitation))",
        "pass",
        told("POST /invitations/accept accepted"),
    ),
    Protection(
        "A new API key is told",
        "ApiKeyStore.create",
        "self._outbox.add(transaction, event_of_creation(key))",
        "pass",
        told("POST /api-keys new_key"),
    ),
    Protection(
        "A change of an API key is told",
        "ApiKeyStore.replace",
        "self._outbox.add(transaction, *events)",
        "pass",
        (*told("POST /api-keys/{key_id}/rotate rotated_key"), *command_told("keys revoke: ended_key")),
    ),
    Protection(
        "A deleted API key is told",
        "ApiKeyStore.delete",
        "self._outbox.add(transaction, event_of_deletion(key))",
        "pass",
        told("DELETE /api-keys/{key_id} deleted_key"),
    ),
    Protection(
        "A new organisation is told",
        "OrganizationStore.add_to",
        "self._outbox.add(transaction, event_of_creation(to_organization(row)))",
        "pass",
        (*told("POST /organizations sign_up"), *command_told("organizations create: new_organization")),
    ),
    Protection(
        "A change of an organisation is told",
        "OrganizationStore.replace",
        "self._outbox.add(transaction, *events_of_change(before, written))",
        "pass",
        (*told("PATCH /organization policy"), *command_told("organizations set-quota: quota")),
    ),
    Protection(
        "A repair of counters is told",
        "OrganizationStore.set_counters",
        "self._outbox.add(transaction, event_of_repair(as_read, differences))",
        "pass",
        command_told("recount: repaired"),
    ),
    Protection(
        "An act of the operator is told as the operator's",
        "main",
        "act_as_operator()",
        "pass",
        (f"{COMMAND_EVENTS_TESTS}::test_command_is_told",),
    ),
    Protection(
        "An event is written with its change or not at all",
        "Outbox.add",
        "transaction.save(self._row(event))",
        "self._row(event).save()",
        (f"{EVERY_CHANGE_TESTS}::test_change_is_told[PATCH /users/{{user_id}} last_owner]",),
    ),
    Protection(
        "An act that is told twice is one event",
        "Event.event_id",
        "self.occasion",
        "__import__('secrets').token_hex()",
        (f"{COMMAND_EVENTS_TESTS}::test_redrive_that_died_after_telling_tells_the_same_event_again",),
    ),
    Protection(
        "Of the name of a failed login four digits of a hash are stored",
        "event_of_failure",
        "hashlib.sha256(name.encode()).hexdigest()[:_NAME_HASH_CHARACTERS]",
        "hashlib.sha256(name.encode()).hexdigest()",
        (
            f"{FAILED_LOGINS_TESTS}::test_of_a_name_no_more_than_four_digits_are_stored",
            *told("POST /auth/login unknown_name"),
        ),
    ),
    Protection(
        "A failed login with a name that nobody has is in no organisation's trail",
        "event_of_failure",
        "caller.organization_id if caller else NOBODYS_ORGANIZATION",
        "caller.organization_id if caller else __import__('chalicelib.wiring').wiring.stores().organizations.all()"
        ".__next__().organization_id",
        (f"{FAILED_LOGINS_TESTS}::test_failure_of_a_name_that_nobody_has_is_the_operators",),
    ),
    Protection(
        "Failed logins do not fill the feed",
        "AUDIT_ONLY",
        "EventType.SESSION_FAILED",
        "EventType.FILE_DOWNLOADED",
        (f"{FAILED_LOGINS_TESTS}::test_failure_of_a_known_name_is_in_the_trail_of_its_organisation_only",),
    ),
    Protection(
        "A failed login that cannot be told is refused all the same",
        "tell_failure",
        "_log.warning('A failed login left no event: %s', type(error).__name__)",
        "raise",
        (f"{FAILED_LOGINS_TESTS}::test_failure_that_can_not_be_told_is_answered_all_the_same",),
    ),
    Protection(
        "Nobody sees events of a thing without its scope",
        "visible_types",
        "raise MissingPermission.of(scope_of(kind))",
        "pass",
        (
            f"{VISIBILITY_TESTS}::test_feed_of_a_role",
            f"{VISIBILITY_TESTS}::test_webhook_is_told_no_more_than_its_maker_sees",
        ),
    ),
    Protection(
        "The feed leaves out what the caller may not see",
        "visible_types",
        "frozenset(kind for kind in _TYPES if caller.may(scope_of(kind)))",
        "_TYPES",
        (f"{VISIBILITY_TESTS}::test_feed_of_a_role", f"{VISIBILITY_TESTS}::test_feed_of_a_key"),
    ),
    Protection(
        "What no scope is named for is the auditor's",
        "scope_of",
        "Scope.AUDIT_READ",
        "Scope.FILES_READ",
        (f"{VISIBILITY_TESTS}::test_feed_of_a_role",),
    ),
    Protection(
        "Asking for the schema is limited by address",
        "event_schema",
        "limits.count_anonymous(stores(), source_address(request), with_token=False)",
        "pass",
        (f"{SCHEMA_TESTS}::test_asking_is_limited_by_address",),
    ),
)
