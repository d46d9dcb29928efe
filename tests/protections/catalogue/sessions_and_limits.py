"""Sessions and limits."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    CSRF_TESTS,
    FILENAMES_TESTS,
    LIMITS_TESTS,
    LOGIN_TESTS,
    PASSWORD_TESTS,
    SESSIONS_TESTS,
    TENANCY_TESTS,
    TICKETS_TESTS,
)
from tests.protections.catalogue.protection import Protection

SESSIONS_AND_LIMITS = (
    Protection(
        "Only the hash of a token is stored",
        "token_digest",
        "base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).decode().rstrip('=')",
        "token",
        (
            f"{LOGIN_TESTS}::test_token_is_stored_as_a_hash_only",
            f"{SESSIONS_TESTS}::test_stored_hash_is_not_a_token",
            f"{TICKETS_TESTS}::test_only_the_hash_of_a_ticket_is_stored",
        ),
    ),
    Protection(
        "Logging out ends the session on the server",
        "logout",
        "[token_hash]",
        "[]",
        (
            f"{SESSIONS_TESTS}::test_after_logout_the_session_is_dead",
            f"{TENANCY_TESTS}::test_session_that_was_ended_is_401_everywhere",
        ),
    ),
    Protection(
        "Disabling a user, or a new password, ends every session",
        "_write",
        "stores.users.replace(user, changed, ended)",
        "stores.users.replace(user, changed, [])",
        (
            f"{SESSIONS_TESTS}::test_disabled_user_is_out_at_once",
            f"{SESSIONS_TESTS}::test_changed_password_ends_every_session",
        ),
    ),
    Protection(
        "A password change needs the current password",
        "change_password",
        "password_matches(current, user.password_hash, cost)",
        "current",
        (f"{PASSWORD_TESTS}::test_wrong_current_password_changes_nothing",),
    ),
    Protection(
        "A session expires by the server's clock",
        "authenticate",
        "session is None or session.ticket_of is not None or session.expires_at <= time.time()",
        "session is None or session.ticket_of is not None",
        (f"{SESSIONS_TESTS}::test_session_ends_after_its_absolute_time",),
    ),
    Protection(
        "A disabled user cannot log in",
        "_login",
        "now is None or now.disabled or now.password_hash != checked.password_hash",
        "now is None or now.password_hash != checked.password_hash",
        (f"{LOGIN_TESTS}::test_disabled_user_is_told_no_more_than_anyone",),
    ),
    Protection(
        "A login under way does not survive a change of the user",
        "UserStore.start_session",
        "condition=(UserRow.version == user.version) & (UserRow.disabled == False)",
        "condition=UserRow.user_id.exists()",
        (f"{LOGIN_TESTS}::test_login_under_way_does_not_survive_a_change_of_the_user",),
    ),
    Protection(
        "A login of an unknown user takes the work of a wrong password",
        "password_matches",
        "bcrypt.checkpw(encoded[:MAX_PASSWORD_BYTES].replace(b'\\x00', b'x'), _decoy(cost))",
        "pass",
        (f"{LOGIN_TESTS}::test_unknown_user_costs_the_same_work_as_a_wrong_password",),
    ),
    Protection(
        "A password that is too long is not cut into the right one",
        "password_matches",
        "comparable = len(encoded) <= MAX_PASSWORD_BYTES and b'\\x00' not in encoded",
        ("encoded = encoded[:MAX_PASSWORD_BYTES]\ncomparable = b'\\x00' not in encoded"),
        (f"{LOGIN_TESTS}::test_long_password_can_not_be_cut_into_the_right_one",),
    ),
    Protection(
        "A write by cookie from a page of another origin is refused",
        "identify",
        "by_cookie and request.method not in SAFE_METHODS",
        "False",
        (
            f"{CSRF_TESTS}::test_write_by_cookie_from_a_foreign_page_is_403",
            f"{CSRF_TESTS}::test_foreign_page_can_neither_log_out_nor_delete",
        ),
    ),
    Protection(
        "A body with a content type that needs no preflight is not read as JSON",
        "json_object",
        "media_type(request.headers) != JSON",
        "False",
        (f"{LOGIN_TESTS}::test_body_that_a_foreign_page_could_send_unasked_is_415",),
    ),
    Protection(
        "Logins are limited by address",
        "count_login",
        "stores.settings.rate_limit_login_per_address",
        "'1000000/minute'",
        (f"{LIMITS_TESTS}::test_sixth_login_of_a_minute_is_429_even_with_the_right_password",),
    ),
    Protection(
        "A client cannot choose the address that is counted",
        "source_address",
        "request.context.get('identity', {}).get('sourceIp') or 'unknown'",
        "request.headers.get('x-forwarded-for') or request.context['identity']['sourceIp']",
        (f"{LIMITS_TESTS}::test_address_can_not_be_made_up",),
    ),
    Protection(
        "Logins are limited by username",
        "reserve_failure",
        "settings.rate_limit_login_per_username",
        "'1000000/minute'",
        (f"{LIMITS_TESTS}::test_logins_are_counted_by_username_over_all_addresses",),
    ),
    Protection(
        "Successful logins are not counted as failures",
        "login",
        "reserved.give_back(stores)\nreturn signed_in",
        "return signed_in",
        (f"{LIMITS_TESTS}::test_right_passwords_count_as_no_failure",),
    ),
    Protection(
        "A known device is not refused for the failures of others",
        "_reserve_with_device",
        "nonce is not None",
        "False",
        (f"{LIMITS_TESTS}::test_who_guesses_from_everywhere_does_not_refuse_a_known_device",),
    ),
    Protection(
        "A device cookie cannot be forged",
        "find_device",
        "hmac.compare_digest(mac, _mac(user, expires_at, nonce))",
        "True",
        (f"{LIMITS_TESTS}::test_device_of_another_user_or_made_up_opens_nothing",),
    ),
    Protection(
        "A Windows device name is not accepted as a filename",
        "_no_device",
        "_WINDOWS_DEVICE.match(name)",
        "False",
        (f"{FILENAMES_TESTS}::test_known_names",),
    ),
)
