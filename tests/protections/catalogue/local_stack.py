"""What keeps web pages away from the stack of `make up`, and its data."""

from __future__ import annotations

from tests.protections.catalogue.places import EVENTS_TESTS, GUARD_TESTS, HOSTILE_TESTS, JOURNAL_TESTS
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
    Protection(
        "What a request changed is kept before the emulator answers it",
        "_after",
        "keep()",
        "None",
        (f"{JOURNAL_TESTS}::test_what_a_request_changed_is_kept_before_it_is_answered",),
    ),
    Protection(
        "What a kill has cut off of the emulator's journal is dropped",
        "Journal.read",
        "os.truncate(self._path, whole)",
        "None",
        (f"{JOURNAL_TESTS}::test_line_that_was_cut_off_is_dropped_and_the_next_one_is_whole",),
    ),
    Protection(
        "The emulator's journal is readable by its owner only",
        "Journal.replace",
        "0o600",
        "0o644",
        (f"{JOURNAL_TESTS}::test_journal_that_begins_anew_is_written_to_from_then_on",),
    ),
    Protection(
        "A message is held while it is handled",
        "QueueReader.renew_holds",
        "_attempt('held', self._hold, due[start:start + MAX_MESSAGES], HOLD_SECONDS)",
        "None",
        (f"{EVENTS_TESTS}::test_message_is_held_for_as_long_as_it_is_handled",),
    ),
)
