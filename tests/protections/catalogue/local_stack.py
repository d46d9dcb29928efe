"""What keeps web pages away from the stack of `make up`."""

from __future__ import annotations

from tests.protections.catalogue.places import GUARD_TESTS, HOSTILE_TESTS
from tests.protections.catalogue.protection import Protection

LOCAL_STACK = (
    Protection(
        "The emulator accepts this machine's host names only",
        "refusal",
        'LOOPBACK_HOST.fullmatch(request.header("host") or "")',
        "True",
        (f"{GUARD_TESTS}::test_name_that_is_no_loopback_name_is_refused",),
    ),
    Protection(
        "The emulator serves pages of allowed origins only",
        "refusal",
        "origin not in origins",
        "False",
        (f"{GUARD_TESTS}::test_page_of_another_origin_is_refused_even_with_a_signature",),
    ),
    Protection(
        "The emulator accepts no key whose signature it does not check",
        "refusal",
        "UNCHECKED_KEY.fullmatch(key)",
        "False",
        (f"{GUARD_TESTS}::test_request_that_no_checked_key_signs_is_refused",),
    ),
    Protection(
        "The emulator refuses unsigned requests",
        "refusal",
        "_may_be_unsigned(request)",
        "True",
        (f"{GUARD_TESTS}::test_request_that_no_checked_key_signs_is_refused",),
    ),
    Protection(
        "Only the operator may use the emulator's administration paths",
        "refusal",
        "_administration_refusal(request, operator_key_id, claimed)",
        "None",
        (f"{GUARD_TESTS}::test_administration_is_for_the_operator_outside_of_browsers",),
    ),
    Protection(
        "The keys of the emulator are readable by their owner only",
        "KeyFile.write",
        "0o600",
        "0o644",
        (f"{GUARD_TESTS}::test_keys_are_drawn_for_each_folder_kept_and_readable_by_their_owner_only",),
    ),
    Protection(
        "The local server refuses malformed header lines",
        "RequestHandler.parse_request",
        "self._header.is_sound()",
        "True",
        (f"{HOSTILE_TESTS}::test_header_line_that_is_none_ends_the_connection",),
    ),
    Protection(
        "The local server accepts this machine's host names only",
        "RequestHandler.parse_request",
        "self._host_is_own()",
        "True",
        (f"{HOSTILE_TESTS}::test_name_that_is_not_this_machines_is_refused",),
    ),
)
