"""What is interrupted: each scenario is one thing that a process does, from a prepared state.

``prepare`` makes the state, ``act`` is what dies or fails, ``again`` is what the client does after an answer other than
the hoped-for one. What comes after that (the queue, the sweep) needs nobody's help.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from chalicelib.logic import accounts
from chalicelib.logic.sweeping import MAX_STARTS
from chalicelib.logic.uploads import new_file
from chalicelib.records import Caller, Policy
from tests.faults import cloud as aws
from tests.faults.lab import Accepted, Answer, Lab
from tests.faults.wire import Call, Mode, Plan

TEXT = b"The quarterly report.\n" * 40
#: Above the threshold of direct uploads in parts.
BIG = b"0123456789abcdef" * 330_000
#: More than one piece of the stream.
LONG = b"0123456789abcdef" * 80_000


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


# ---- login, logout -----------------------------------------------------------------------------------------------
def _sign_in_again(lab: Lab, prepared: Any) -> None:
    person = lab.people["anna"]
    assert person.login().status == 200, "can't sign in afterwards"
    assert person.me().status == 200, "the new session is no session"


def _login(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].login()


def _logout(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].logout()


def _end_session(lab: Lab, prepared: Any) -> None:
    assert lab.people["anna"].logout().status in (200, 401), "can't sign out afterwards"
    assert lab.people["anna"].me().status == 401, "the session is still alive"


# ---- uploads -----------------------------------------------------------------------------------------------------
def _upload(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].upload(TEXT)


def _upload_again(lab: Lab, prepared: Any) -> None:
    assert lab.people["anna"].upload(TEXT).status == 201, "can't upload afterwards"


def _uploaded(lab: Lab) -> Any:
    """The message that tells of an upload."""
    assert lab.people["anna"].upload(TEXT).status == 201
    return lab.receive()


def _unverified(lab: Lab) -> Any:
    """An object that came straight to the bucket, with no checksum that S3 verified: every byte has to be read."""
    file_id = put_directly(lab, LONG)
    lab.accepted[file_id] = Accepted(lab.people["anna"].organization.organization_id, LONG)
    return lab.receive()


def put_directly(lab: Lab, body: bytes, *, size_bytes: int | None = None, filename: str = "direct.txt") -> str:
    """A row and its object, as a direct upload leaves them."""
    person = lab.people["anna"]
    caller = Caller(person.organization.organization_id, "user", person.username)
    file = new_file(caller, filename, None, len(body) if size_bytes is None else size_bytes)
    lab.stores.files.create(replace(file, upload_method="post"))
    lab.cloud.s3.put_object(
        Bucket=aws.TEMP_BUCKET, Key=f"{file.organization_id}/{file.file_id}", Body=body, ChecksumAlgorithm="CRC32"
    )
    return file.file_id


def _handle(lab: Lab, prepared: Any) -> None:
    lab.handle(prepared)


def _refused(lab: Lab) -> Any:
    accounts.set_policy(lab.stores, lab.people["anna"].organization.organization_id, Policy(refused_types=("text/*",)))
    return _uploaded(lab)


def _completed_and_announced_again(lab: Lab) -> Any:
    person = lab.people["anna"]
    file_id = person.upload(TEXT).body["id"]
    messages = lab.receive()
    lab.handle(messages)
    organization_id = person.organization.organization_id
    # A presigned upload that is used again: other bytes under the same key.
    lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=f"{organization_id}/{file_id}", Body=b"something else")
    return lab.receive()


def _deleted_before_processing(lab: Lab) -> Any:
    person = lab.people["anna"]
    file_id = person.upload(TEXT).body["id"]
    messages = lab.receive()
    assert person.delete(file_id).status == 204
    # The object was overtaken by its deletion.
    key = f"{person.organization.organization_id}/{file_id}"
    lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=key, Body=TEXT)
    return messages


def _last_attempt(lab: Lab) -> Any:
    """Two attempts have failed; what fails the third is the standing fault."""
    messages = _uploaded(lab)
    for _ in range(2):
        with lab.wire.watched(copy_fails):
            lab.handle(messages)
        lab.clock.forward(10)
        messages = lab.receive()
    return messages


def copy_fails(call: Call) -> Mode | None:
    return Mode.SERVER_ERROR if "CopyObject" in call.name else None


# ---- deletion ----------------------------------------------------------------------------------------------------
def _pending(lab: Lab) -> str:
    file_id: str = lab.people["anna"].upload(TEXT).body["id"]
    return file_id


def _completed(lab: Lab) -> str:
    file_id = _pending(lab)
    lab.deliver()
    return file_id


def _being_processed(lab: Lab) -> str:
    """Its worker died between copying and completing."""
    file_id = _pending(lab)
    messages = lab.receive()

    def dies(call: Call) -> Mode | None:
        return Mode.DIES_AFTER if "CopyObject" in call.name else None

    with lab.wire.watched(dies):
        lab.handle(messages)
    return file_id


def _failed(lab: Lab) -> str:
    """Given up after three attempts; the bytes are still there."""
    file_id = _pending(lab)
    for _ in range(3):
        with lab.wire.watched(copy_fails):
            lab.handle(lab.receive())
        lab.clock.forward(10)
    lab.deliver()
    row = lab.row(file_id)
    assert row is not None
    assert row.status == "failed"
    return file_id


def _delete(lab: Lab, file_id: str) -> Answer:
    return lab.people["anna"].delete(file_id)


def _delete_again(lab: Lab, file_id: str) -> None:
    assert lab.people["anna"].delete(file_id).status in (204, 404), "can't delete afterwards"
    assert lab.people["anna"].details(file_id).status == 404, "it is still listed"


def _retry(lab: Lab, file_id: str) -> Answer:
    return lab.people["anna"].request("POST", f"/files/{file_id}/retry")


def _retry_again(lab: Lab, file_id: str) -> None:
    """202 when nothing had happened; 409 when it is on its way or done already."""
    assert _retry(lab, file_id).status in (202, 409), "can't be retried afterwards"


def _rename(lab: Lab, file_id: str) -> Answer:
    return lab.people["anna"].request("PATCH", f"/files/{file_id}", json_body={"filename": "renamed.txt"})


def _rename_again(lab: Lab, file_id: str) -> None:
    assert _rename(lab, file_id).status == 200, "can't be renamed afterwards"


# ---- direct uploads ----------------------------------------------------------------------------------------------
def _start_form(lab: Lab, prepared: Any) -> Answer:
    """The client sends the bytes when it is told where to."""
    answer = lab.people["anna"].start_direct(len(TEXT))
    if answer.status == 201:
        lab.people["anna"].send_bytes(answer, TEXT)
    return answer


def _start_form_again(lab: Lab, prepared: Any) -> None:
    assert _start_form(lab, prepared).status == 201, "can't upload afterwards"


def _start_parts(lab: Lab, prepared: Any) -> Answer:
    """The client sends its part when it is told how, and has it put together."""
    person = lab.people["anna"]
    answer = person.start_direct(len(BIG))
    if answer.status == 201:
        person.send_bytes(answer, BIG)
        with lab.wire.by_somebody_else():
            assert person.complete(answer.body["id"], BIG).status == 200
    return answer


def _start_parts_again(lab: Lab, prepared: Any) -> None:
    assert _start_parts(lab, prepared).status == 201, "can't upload afterwards"


def _parts_sent(lab: Lab) -> str:
    answer = lab.people["anna"].start_direct(len(BIG))
    lab.people["anna"].send_bytes(answer, BIG)
    file_id: str = answer.body["id"]
    return file_id


def _complete(lab: Lab, file_id: str) -> Answer:
    return lab.people["anna"].complete(file_id, BIG)


def _complete_again(lab: Lab, file_id: str) -> None:
    assert _complete(lab, file_id).status == 200, "can't be completed afterwards"


def _abandoned(lab: Lab) -> None:
    """A form that nothing was sent to, and parts that were never put together; both have expired."""
    assert lab.people["anna"].start_direct(len(TEXT)).status == 201
    _parts_sent(lab)
    lab.clock.forward(23 * 3600 + 1)


# ---- the sweep ---------------------------------------------------------------------------------------------------
def _neglected(lab: Lab) -> None:
    """One of everything that the sweep is for."""
    person = lab.people["anna"]
    # Its announcement was lost.
    assert person.upload(b"announcement lost").status == 201
    lost = lab.receive()
    lab.cloud.sqs.delete_message(QueueUrl=aws.QUEUE_URL, ReceiptHandle=lost[0]["ReceiptHandle"])
    # The bytes never came.
    with lab.wire.watched(lambda call: Mode.DIES_BEFORE if "PutObject" in call.name else None):
        person.upload(b"never came")
    # The worker died, and so did the message.
    dead = _being_processed(lab)
    # A deletion that got only as far as the row.
    with lab.wire.watched(lambda call: Mode.DIES_BEFORE if "DeleteObject" in call.name else None):
        person.delete(dead)
    # It kills its worker every time.
    assert person.upload(b"poison").status == 201
    messages = lab.receive()
    for _ in range(MAX_STARTS):
        with lab.wire.watched(lambda call: Mode.DIES_AFTER if "GetObject" in call.name else None):
            lab.handle(messages)
    lab.cloud.sqs.delete_message(QueueUrl=aws.QUEUE_URL, ReceiptHandle=messages[0]["ReceiptHandle"])
    # Bytes without a row.
    lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key="from/elsewhere", Body=b"stray")
    stray = lab.receive()
    lab.cloud.sqs.delete_message(QueueUrl=aws.QUEUE_URL, ReceiptHandle=stray[0]["ReceiptHandle"])
    lab.clock.forward(2 * 3600)


def _sweep(lab: Lab, prepared: Any) -> None:
    lab.sweep()


SCENARIOS: dict[str, Scenario] = {
    "login": Scenario(
        "Login",
        "A user signs in; if that fails, once more.",
        _login,
        again=_sign_in_again,
    ),
    "logout": Scenario("Logout", "A user signs out; if that fails, once more.", _logout, again=_end_session),
    "upload": Scenario(
        "Form upload",
        "A user sends a file; if the answer is not 201, the user sends it again as another file.",
        _upload,
        again=_upload_again,
        hoped_for=201,
        ends=("absent", "completed", "failed"),
    ),
    "process": Scenario(
        "Processing",
        "The function gets the announcement of a form upload, whose checksum S3 has verified.",
        _handle,
        _uploaded,
        ends=("completed",),
    ),
    "process-unverified": Scenario(
        "Processing with hashing",
        "The same for an object whose checksum S3 has not verified: all of it is read.",
        _handle,
        _unverified,
        ends=("completed",),
    ),
    "process-parts": Scenario(
        "Processing with a copy in parts",
        "The same with an object too large for a single copy.",
        _handle,
        _uploaded,
        copies_in_parts=True,
        ends=("completed",),
    ),
    "process-refused": Scenario(
        "Processing of a refused file",
        "The organisation's policy refuses what the upload turns out to be.",
        _handle,
        _refused,
        ends=("failed",),
    ),
    "process-repeated": Scenario(
        "Processing of what is completed",
        "A presigned upload was used again, with other bytes, after the file was completed.",
        _handle,
        _completed_and_announced_again,
        ends=("completed",),
    ),
    "process-deleted": Scenario(
        "Processing of what was deleted",
        "The file was deleted before its announcement is processed; its bytes arrive all the same.",
        _handle,
        _deleted_before_processing,
        ends=("absent",),
    ),
    "give-up": Scenario(
        "Giving up",
        "The third and last attempt: the copy fails as it did before, and on top of it comes one more fault.",
        _handle,
        _last_attempt,
        standing_fault=copy_fails,
        ends=("failed", "completed"),
    ),
    "delete-pending": Scenario(
        "Deletion of a pending file",
        "A user deletes a file before it is processed; if the answer is not 204, once more.",
        _delete,
        _pending,
        again=_delete_again,
        hoped_for=204,
        ends=("absent",),
    ),
    "delete-completed": Scenario(
        "Deletion of a completed file",
        "The same for a completed file.",
        _delete,
        _completed,
        again=_delete_again,
        hoped_for=204,
        ends=("absent",),
    ),
    "delete-processing": Scenario(
        "Deletion of a file in processing",
        "The same for a file whose worker has copied it and died.",
        _delete,
        _being_processed,
        again=_delete_again,
        hoped_for=204,
        ends=("absent",),
    ),
    "delete-failed": Scenario(
        "Deletion of a failed file",
        "The same for a file that failed after three attempts and kept its bytes.",
        _delete,
        _failed,
        again=_delete_again,
        hoped_for=204,
        ends=("absent",),
    ),
    "delete-parts": Scenario(
        "Deletion of an upload in parts",
        "The same for an upload in parts of which some have arrived.",
        _delete,
        _parts_sent,
        again=_delete_again,
        hoped_for=204,
        ends=("absent",),
    ),
    "rename": Scenario(
        "Renaming",
        "A user renames a completed file; if the answer is not 200, once more.",
        _rename,
        _completed,
        again=_rename_again,
        ends=("completed",),
    ),
    "direct-form": Scenario(
        "Direct upload, one form",
        "A user asks where to send a file, and sends it there if told; if not, asks again for another file.",
        _start_form,
        again=_start_form_again,
        hoped_for=201,
        ends=("absent", "completed", "failed"),
    ),
    "direct-parts": Scenario(
        "Direct upload, in parts",
        "The same for a file that goes in parts.",
        _start_parts,
        again=_start_parts_again,
        hoped_for=201,
        ends=("absent", "completed", "failed"),
    ),
    "direct-complete": Scenario(
        "Putting parts together",
        "All parts have arrived; a user has them put together; if the answer is not 200, once more.",
        _complete,
        _parts_sent,
        again=_complete_again,
        at_once=True,
        ends=("completed",),
    ),
    "sweep-direct": Scenario(
        "Sweep of abandoned direct uploads",
        "A form that nothing was sent to, and parts that were never put together.",
        _sweep,
        _abandoned,
        ends=("failed",),
    ),
    "retry": Scenario(
        "Retry of a failed file",
        "A user asks to process a failed file again; if the answer is not 202, once more.",
        _retry,
        _failed,
        again=_retry_again,
        hoped_for=202,
        ends=("completed",),
    ),
    "sweep": Scenario(
        "Sweep",
        "An announcement was lost, bytes never came, a deletion stopped half-way, a file kills its worker every time, "
        "and there are bytes of nobody.",
        _sweep,
        _neglected,
    ),
}
