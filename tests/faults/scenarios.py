"""What is interrupted: each scenario is one thing that a process does, from a prepared state.

``prepare`` makes the state, ``act`` is what dies or fails, ``again`` is what the client does after an answer other than
the hoped-for one. What comes after that (the queue, the sweep) needs nobody's help.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults import invitation_steps, steps
from tests.faults.lab import Lab
from tests.faults.people import Answer
from tests.faults.wire import Plan


def nothing(lab: Lab) -> Any:
    return None


def _never(lab: Lab, prepared: Any) -> None:
    return None


@dataclass(frozen=True)
class Scenario:
    title: str
    #: What was there before and what is done, for the reader of the table.
    story: str
    act: Callable[[Lab, Any], Answer | None]
    prepare: Callable[[Lab], Any] = nothing
    #: After an answer other than ``hoped_for``.
    again: Callable[[Lab, Any], None] = _never
    hoped_for: int = 200
    #: Faults that are there in the undisturbed run already.
    standing_fault: Plan | None = None
    #: What may become of the file; anything else is a bad row. Empty: the scenario has no file.
    ends: tuple[str, ...] = ()
    #: The copier takes anything for too large for a single call.
    copies_in_parts: bool = False
    #: The client does not wait for a day before it tries again.
    at_once: bool = False


SCENARIOS: dict[str, Scenario] = {
    "login": Scenario(
        "Login",
        "A user signs in; if that fails, once more.",
        steps.login,
        again=steps.sign_in_again,
    ),
    "login-failed": Scenario(
        "Login with a wrong password",
        "Somebody types a wrong password; if the answer is not 401, once more.",
        steps.login_wrongly,
        again=steps.login_wrongly_again,
        hoped_for=401,
    ),
    "logout": Scenario("Logout", "A user signs out; if that fails, once more.", steps.logout, again=steps.end_session),
    "password": Scenario(
        "Another password",
        "A user takes another password; if the answer is not 200, the user finds out which one counts and goes on.",
        steps.change_password,
        steps.session_elsewhere,
        again=steps.find_the_password,
    ),
    "role": Scenario(
        "Another role",
        "An owner makes a member, who has two sessions, an owner; if the answer is not 200, once more.",
        steps.promote,
        steps.sessions_of_a_member,
        again=steps.promote_again,
    ),
    "remove-user": Scenario(
        "Removal of a user",
        "An owner removes another owner, who has two sessions and an open upload; if the answer is not 204, once more.",
        steps.remove_user,
        steps.another_owner,
        again=steps.remove_user_again,
        hoped_for=204,
        ends=("failed",),
    ),
    "key-create": Scenario(
        "A new API key",
        "An owner makes an API key; if the answer is not 201, another one, and deletes both.",
        steps.make_key,
        again=steps.make_key_again,
        hoped_for=201,
    ),
    "key-use": Scenario(
        "First use of an API key in an hour",
        "A program sends a request with its key; if the answer is not 200, once more.",
        steps.use_key,
        steps.new_key,
        again=steps.use_key_again,
    ),
    "key-rotate": Scenario(
        "Rotation of an API key",
        "An owner has a key rotated; if the answer is not 200, once more, and the old secret has to live until then.",
        steps.rotate_key,
        steps.new_key,
        again=steps.rotate_key_again,
        at_once=True,
    ),
    "key-delete": Scenario(
        "Deletion of an API key",
        "An owner deletes a key with an open upload; if the answer is not 204, once more.",
        steps.delete_key,
        steps.key_with_an_upload,
        again=steps.delete_key_again,
        hoped_for=204,
        at_once=True,
        ends=("failed",),
    ),
    "key-revoke": Scenario(
        "Revocation of an API key",
        "Somebody who has found a key with an open upload revokes it; if the answer is not 204, once more.",
        steps.revoke_key,
        steps.key_with_an_upload,
        again=steps.revoke_key_again,
        hoped_for=204,
        at_once=True,
        ends=("failed",),
    ),
    "session-use": Scenario(
        "Use of a session",
        "A request of a session that was not used for a while, which is written down; if that fails, once more.",
        steps.use_session,
        steps.session_not_used_for_a_while,
        again=steps.use_session_again,
    ),
    "session-others": Scenario(
        "Ending the other sessions",
        "A user ends all sessions but this; if that fails, once more.",
        steps.end_other_sessions,
        steps.session_elsewhere,
        again=steps.end_other_sessions_again,
    ),
    "factor-begin": Scenario(
        "Beginning with a second factor",
        "A user asks for a secret; if that fails, once more, and confirms it.",
        steps.begin_second_factor,
        again=steps.begin_and_confirm,
    ),
    "factor-confirm": Scenario(
        "Confirming a second factor",
        "The user sends a code of it; if the answer is not 200, the user finds out whether it counts, and goes on.",
        steps.confirm_second_factor,
        steps.begun,
        again=steps.find_the_second_factor,
    ),
    "factor-challenge": Scenario(
        "Login with a second factor, the password",
        "A user with a second factor signs in; if that fails, once more.",
        steps.ask_for_a_code,
        steps.with_second_factor,
        again=steps.log_in_with_the_next_code,
    ),
    "factor-login": Scenario(
        "Login with a second factor, the code",
        "The code follows; if the answer is not 200, the user signs in anew with the next code.",
        steps.complete_login,
        steps.waiting_for_a_code,
        again=steps.log_in_with_the_next_code,
    ),
    "factor-remove": Scenario(
        "Removing a second factor",
        "A user goes back to the password alone; if the answer is not 204, once more.",
        steps.remove_second_factor,
        steps.with_second_factor,
        again=steps.remove_second_factor_again,
        hoped_for=204,
    ),
    "factor-reset": Scenario(
        "Resetting a second factor",
        "An owner resets it for a colleague; if the answer is not 200, once more.",
        steps.reset_second_factor,
        steps.colleague_with_second_factor,
        again=steps.reset_second_factor_again,
    ),
    "factor-require": Scenario(
        "Requiring a second factor",
        "An owner requires it of the organisation; if the answer is not 200, once more.",
        steps.require_second_factor,
        steps.owner_with_second_factor,
        again=steps.require_second_factor_again,
    ),
    "upload": Scenario(
        "Form upload",
        "A user sends a file; if the answer is not 201, the user sends it again as another file.",
        steps.upload,
        again=steps.upload_again,
        hoped_for=201,
        ends=("absent", "completed", "failed"),
    ),
    "process": Scenario(
        "Processing",
        "The function gets the announcement of a form upload, whose checksum S3 has verified.",
        steps.handle,
        steps.uploaded,
        ends=("completed",),
    ),
    "process-unverified": Scenario(
        "Processing with hashing",
        "The same for an object whose checksum S3 has not verified: all of it is read.",
        steps.handle,
        steps.unverified,
        ends=("completed",),
    ),
    "process-parts": Scenario(
        "Processing with a copy in parts",
        "The same with an object too large for a single copy.",
        steps.handle,
        steps.uploaded,
        copies_in_parts=True,
        ends=("completed",),
    ),
    "process-refused": Scenario(
        "Processing of a refused file",
        "The organisation's policy refuses what the upload turns out to be.",
        steps.handle,
        steps.refused,
        ends=("failed",),
    ),
    "process-repeated": Scenario(
        "Processing of what is completed",
        "A presigned upload was used again, with other bytes, after the file was completed.",
        steps.handle,
        steps.completed_and_announced_again,
        ends=("completed",),
    ),
    "process-deleted": Scenario(
        "Processing of what was deleted",
        "The file was deleted before its announcement is processed; its bytes arrive all the same.",
        steps.handle,
        steps.deleted_before_processing,
        ends=("absent",),
    ),
    "give-up": Scenario(
        "Giving up",
        "The third and last attempt: the copy fails as it did before, and on top of it comes one more fault.",
        steps.handle,
        steps.last_attempt,
        standing_fault=steps.copy_fails,
        ends=("failed", "completed"),
    ),
    "delete-pending": Scenario(
        "Deletion of a pending file",
        "A user deletes a file before it is processed; if the answer is not 204, once more.",
        steps.delete,
        steps.pending,
        again=steps.delete_again,
        hoped_for=204,
        ends=("absent",),
    ),
    "delete-completed": Scenario(
        "Deletion of a completed file",
        "The same for a completed file.",
        steps.delete,
        steps.completed,
        again=steps.delete_again,
        hoped_for=204,
        ends=("absent",),
    ),
    "delete-processing": Scenario(
        "Deletion of a file in processing",
        "The same for a file whose worker has copied it and died.",
        steps.delete,
        steps.being_processed,
        again=steps.delete_again,
        hoped_for=204,
        ends=("absent",),
    ),
    "delete-failed": Scenario(
        "Deletion of a failed file",
        "The same for a file that failed after three attempts and kept its bytes.",
        steps.delete,
        steps.failed,
        again=steps.delete_again,
        hoped_for=204,
        ends=("absent",),
    ),
    "delete-parts": Scenario(
        "Deletion of an upload in parts",
        "The same for an upload in parts of which some have arrived.",
        steps.delete,
        steps.parts_sent,
        again=steps.delete_again,
        hoped_for=204,
        ends=("absent",),
    ),
    "rename": Scenario(
        "Renaming",
        "A user renames a completed file; if the answer is not 200, once more.",
        steps.rename,
        steps.completed,
        again=steps.rename_again,
        ends=("completed",),
    ),
    "direct-form": Scenario(
        "Direct upload, one form",
        "A user asks where to send a file, and sends it there if told; if not, asks again for another file.",
        steps.start_form,
        again=steps.start_form_again,
        hoped_for=201,
        ends=("absent", "completed", "failed"),
    ),
    "direct-parts": Scenario(
        "Direct upload, in parts",
        "The same for a file that goes in parts.",
        steps.start_parts,
        again=steps.start_parts_again,
        hoped_for=201,
        ends=("absent", "completed", "failed"),
    ),
    "direct-complete": Scenario(
        "Putting parts together",
        "All parts have arrived; a user has them put together; if the answer is not 200, once more.",
        steps.complete,
        steps.parts_sent,
        again=steps.complete_again,
        at_once=True,
        ends=("completed",),
    ),
    "direct-grow": Scenario(
        "Signing a part, more room needed",
        "More has arrived of an upload of unknown size than is reserved; a user asks for the next part and has the "
        "parts put together; if the answer is not 200, once more.",
        steps.sign_next_part,
        steps.outgrown,
        again=steps.sign_next_part_again,
        at_once=True,
        ends=("completed",),
    ),
    "direct-beyond": Scenario(
        "Signing a part, no room left",
        "The same where the quota has no room for it: refused, and the upload is given up; if the answer is not 409, "
        "once more.",
        steps.sign_next_part,
        steps.outgrown_in_a_full_organization,
        again=steps.be_refused_again,
        hoped_for=409,
        at_once=True,
        ends=("failed",),
    ),
    "sweep-beyond": Scenario(
        "Sweep of an upload beyond the quota",
        "The same, found by the sweep.",
        steps.sweep,
        steps.outgrown_in_a_full_organization,
        ends=("failed",),
    ),
    "sweep-direct": Scenario(
        "Sweep of abandoned direct uploads",
        "A form that nothing was sent to, and parts that were never put together.",
        steps.sweep,
        steps.abandoned,
        ends=("failed",),
    ),
    "retry": Scenario(
        "Retry of a failed file",
        "A user asks to process a failed file again; if the answer is not 202, once more.",
        steps.retry,
        steps.failed,
        again=steps.retry_again,
        hoped_for=202,
        ends=("completed",),
    ),
    "sweep": Scenario(
        "Sweep",
        "An announcement was lost, bytes never came, a deletion stopped half-way, a file kills its worker every time, "
        "and an object has no row.",
        steps.sweep,
        steps.neglected,
    ),
    "invite": Scenario(
        "Invitation",
        "An owner invites an address; if the answer is not 201, the owner invites again, or resends what is there.",
        invitation_steps.invite,
        again=invitation_steps.invite_again,
        hoped_for=201,
    ),
    "invite-accept": Scenario(
        "Acceptance of an invitation",
        "An invited person accepts; if the answer is not 201, once more, and then signs in.",
        invitation_steps.accept,
        invitation_steps.invited,
        again=invitation_steps.accept_again,
        hoped_for=201,
    ),
    "invite-resend": Scenario(
        "Another token for an invitation",
        "An owner resends an invitation; if the answer is not 200, once more.",
        invitation_steps.resend,
        invitation_steps.invited,
        again=invitation_steps.resend_again,
    ),
    "sign-up": Scenario(
        "Sign-up",
        "Somebody creates an organisation; if the answer is not 201, once more, and then signs in.",
        invitation_steps.sign_up,
        again=invitation_steps.sign_up_again,
        hoped_for=201,
    ),
    "publish": Scenario(
        "Publishing",
        "A file was uploaded, completed and renamed; the publisher gets the stream's records, again until it succeeds.",
        steps.publish,
        steps.untold,
        ends=("completed",),
    ),
    "keep-up": Scenario(
        "Events that the stream has lost",
        "The same, but the stream has forgotten its records; the hourly upkeep finds the events.",
        steps.keep_up,
        steps.lost_by_the_stream,
        ends=("completed",),
    ),
    "download": Scenario(
        "Download",
        "A user downloads a file; if the answer is not 302, once more.",
        steps.download,
        steps.completed,
        again=steps.download_again,
        hoped_for=302,
        ends=("completed",),
    ),
    "follow": Scenario(
        "Reading events",
        "A program asks for the events after the first; if the answer is not 200, once more.",
        steps.follow,
        steps.told,
        again=steps.follow_again,
        ends=("completed",),
    ),
}
