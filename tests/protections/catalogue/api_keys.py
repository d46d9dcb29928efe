"""API keys."""

from __future__ import annotations

from tests.protections.catalogue.places import API_KEYS_TESTS, KEY_TEXT_TESTS, LIMITS_TESTS, PERMISSIONS_TESTS
from tests.protections.catalogue.protection import Protection

API_KEYS = (
    Protection(
        "Only the hash of an API key is stored",
        "_create",
        "secret_hash=token_digest(text)",
        "secret_hash=text",
        (f"{API_KEYS_TESTS}::test_key_is_shown_once_and_stored_as_a_hash",),
    ),
    Protection(
        "A mistyped key is refused without a look-up",
        "parse",
        "text[-CHECK_CHARACTERS:] != _check(text[:-CHECK_CHARACTERS])",
        "False",
        (
            f"{API_KEYS_TESTS}::test_mistyped_key_is_refused_without_a_look_up",
            f"{KEY_TEXT_TESTS}::test_one_wrong_character_is_refused",
        ),
    ),
    Protection(
        "A session's token that begins like a key stays a session's",
        "is_meant_as_key",
        "len(token) != SESSION_TOKEN_CHARACTERS",
        "True",
        (f"{KEY_TEXT_TESTS}::test_token_of_a_session_that_begins_like_a_key_is_none",),
    ),
    Protection(
        "A key needs its secret",
        "caller_by_hash",
        "not key.has_secret(secret_hash, now)",
        "False",
        (f"{API_KEYS_TESTS}::test_key_of_right_form_that_was_never_made_is_401",),
    ),
    Protection(
        "A key that has expired or was revoked opens nothing",
        "caller_by_hash",
        "not key.is_live(now)",
        "False",
        (
            f"{API_KEYS_TESTS}::test_usual_life_is_ninety_days",
            f"{API_KEYS_TESTS}::test_whoever_holds_a_key_may_end_it",
            f"{API_KEYS_TESTS}::test_ticket_dies_with_its_key",
        ),
    ),
    Protection(
        "An old secret dies at its time",
        "ApiKey.has_old_secret",
        "self.old_secret_expires_at > now",
        "True",
        (f"{API_KEYS_TESTS}::test_old_secret_lives_on_for_the_chosen_time",),
    ),
    Protection(
        "A key works from its networks only",
        "caller_by_hash",
        "not key.allows(address)",
        "False",
        (
            f"{API_KEYS_TESTS}::test_key_works_from_its_networks_only",
            f"{API_KEYS_TESTS}::test_ticket_works_from_the_networks_of_its_key_only",
        ),
    ),
    Protection(
        "A key is no cookie",
        "_authenticated",
        "not by_cookie",
        "True",
        (f"{API_KEYS_TESTS}::test_key_is_no_cookie_and_no_ticket",),
    ),
    Protection(
        "What is about passwords and sessions is not for keys",
        "_check_permission",
        "needs in (Access.PERSON, Access.PERSON_SETTING_UP) and caller.type is not ActorType.USER",
        "False",
        (f"{PERMISSIONS_TESTS}::test_what_is_for_people_refuses_a_key_that_may_do_everything",),
    ),
    Protection(
        "Nobody gives a key a scope that they lack",
        "create_key",
        "check_scopes(caller, checked_scopes(wanted.scopes))",
        "pass",
        (
            f"{API_KEYS_TESTS}::test_nobody_gives_a_scope_that_they_lack",
            f"{API_KEYS_TESTS}::test_key_makes_keys_only_with_the_scope_and_never_with_more_than_its_own",
        ),
    ),
    Protection(
        "Nobody touches a key with more than their own",
        "_change",
        "check_scopes(caller, key.scopes)",
        "pass",
        (f"{API_KEYS_TESTS}::test_nobody_touches_a_key_with_more_than_their_own",),
    ),
    Protection(
        "A key's scopes only become fewer",
        "change_key",
        "narrower is not None and not narrower <= key.scopes",
        "False",
        (f"{API_KEYS_TESTS}::test_narrower_scopes_count_at_the_next_request",),
    ),
    Protection(
        "A key without an end needs an owner's permission",
        "create_key",
        "wanted.never and not caller.may(Scope.SECURITY_MANAGE)",
        "False",
        (f"{API_KEYS_TESTS}::test_key_without_an_end_needs_what_owners_have",),
    ),
    Protection(
        "A key makes none that outlives it",
        "expiry_within",
        "asking is None or asking.expires_at is None",
        "True",
        (f"{API_KEYS_TESTS}::test_key_makes_none_that_outlives_it",),
    ),
    Protection(
        "A key makes none that works from elsewhere",
        "networks_within",
        "asking is None or not asking.networks",
        "True",
        (f"{API_KEYS_TESTS}::test_key_makes_none_that_works_from_elsewhere",),
    ),
    Protection(
        "Nobody gets, by rotating it, the secret of a key that they could not have made",
        "rotate_key",
        "_check_may_hold(stores, caller, key)",
        "pass",
        (
            f"{API_KEYS_TESTS}::test_rotation_gives_a_key_no_secret_of_one_that_it_could_not_have_made",
            f"{API_KEYS_TESTS}::test_rotating_a_key_without_an_end_needs_what_owners_have",
        ),
    ),
    Protection(
        "Keys made at the same moment keep the bound",
        "ApiKeyStore.create",
        "condition=count",
        "condition=None",
        (f"{API_KEYS_TESTS}::test_keys_made_at_the_same_moment_keep_the_bound",),
    ),
    Protection(
        "Ending a key ends its open uploads",
        "_end_uploads",
        "end_open_uploads(stores, key.organization_id, key.key_id, reason=_KEY_ENDED)",
        "pass",
        (
            f"{API_KEYS_TESTS}::test_ending_a_key_ends_its_open_uploads",
            f"{API_KEYS_TESTS}::test_upload_that_starts_while_its_key_is_ended_is_refused",
        ),
    ),
    Protection(
        "A key is revoked before its uploads end, so that a deletion can be repeated",
        "delete_key",
        "_end_uploads(stores, key)\nstores.api_keys.delete(key)",
        "stores.api_keys.delete(key)\n_end_uploads(stores, key)",
        (f"{API_KEYS_TESTS}::test_deletion_that_stopped_half_way_is_finished_by_the_next",),
    ),
    Protection(
        "A secret that has died by a rotation ends nothing",
        "revoke_by_text",
        "key is not None and key.has_secret(token_digest(text), time.time())",
        "key is not None",
        (f"{API_KEYS_TESTS}::test_revoking_tells_nothing",),
    ),
    Protection(
        "Revoking by text is limited by address",
        "revoke_key",
        "report_limit(request, limits.count_anonymous(stores(), source_address(request), with_token=True))",
        "pass",
        (f"{API_KEYS_TESTS}::test_revoking_is_limited_by_address",),
    ),
    Protection(
        "Of two rotations at the same moment one is told so",
        "rotate_key",
        "key.secret_hash != seen",
        "False",
        (f"{API_KEYS_TESTS}::test_one_of_two_rotations_at_the_same_moment_is_told_so",),
    ),
    Protection(
        "Noting a use does not bring a deleted key back",
        "ApiKeyStore.note_use",
        "condition=ApiKeyRow.key_id.exists() & unknown",
        "condition=unknown",
        (f"{API_KEYS_TESTS}::test_noting_a_use_does_not_bring_a_deleted_key_back",),
    ),
    Protection(
        "A key has a limit of its own",
        "count_request",
        "stores.settings.rate_limit_api_key",
        "'1000000/minute'",
        (f"{LIMITS_TESTS}::test_each_key_has_a_limit_of_its_own",),
    ),
    Protection(
        "A key that slips into a log is masked",
        "mask",
        "_API_KEYS.sub('\\\\1***', text)",
        "text",
        (f"{KEY_TEXT_TESTS}::test_log_never_shows_the_secret",),
    ),
)
