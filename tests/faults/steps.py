"""What scenarios are made of: states, things that are done, and what a client does after a bad answer."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pyotp

from chalicelib.accounts import second_factor
from chalicelib.accounts.codes import STEP_SECONDS
from chalicelib.accounts.rows import UserRow
from chalicelib.accounts.sessions import NOTED_EVERY_SECONDS
from chalicelib.kernel.caller import Caller
from chalicelib.processing.announcements import SHORT_WAIT_SECONDS
from chalicelib.processing.processing import MAX_STARTS
from chalicelib.tenants import organizations as tenants
from chalicelib.tenants.organization import Policy
from chalicelib.uploads.form_uploads import new_file
from tests.faults import cloud as aws
from tests.faults.lab import Lab
from tests.faults.people import PASSWORD, Accepted, Answer
from tests.faults.wire import Call, Mode, SimulatedCrash

TEXT = b"The quarterly report.\n" * 40
NEW_PASSWORD = "entirely-new-password"
#: Above the threshold of direct uploads in parts.
BIG = b"0123456789abcdef" * 330_000
#: More than one piece of the stream.
LONG = b"0123456789abcdef" * 80_000


# ---- login, logout -----------------------------------------------------------------------------------------------
def sign_in_again(lab: Lab, prepared: Any) -> None:
    person = lab.people["anna"]
    assert person.login().status == 200, "can't sign in afterwards"
    assert person.me().status == 200, "the new session is no session"


def login(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].login()


def login_wrongly(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].login("not-her-password")


def login_wrongly_again(lab: Lab, prepared: Any) -> None:
    assert login_wrongly(lab, prepared).status == 401, "a wrong password is not refused"


def logout(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].logout()


def end_session(lab: Lab, prepared: Any) -> None:
    assert lab.people["anna"].logout().status in (200, 401), "can't sign out afterwards"
    assert lab.people["anna"].me().status == 401, "the session is still alive"


def session_elsewhere(lab: Lab) -> Any:
    """The token of another session of the same user."""
    person = lab.people["anna"]
    elsewhere = replace(person)
    assert elsewhere.login().status == 200
    return elsewhere


def change_password(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].change_password(NEW_PASSWORD)


def find_the_password(lab: Lab, elsewhere: Any) -> None:
    """One of the two is the password; with the old one, nothing has happened."""
    person = lab.people["anna"]
    if person.login(NEW_PASSWORD).status == 200:
        assert elsewhere.me().status == 401, "a session outlived its password"
        return
    assert elsewhere.me().status == 200, "a session ended, but the password is the old one"
    assert person.login().status == 200, "neither password is right"
    assert change_password(lab, None).status == 200, "can't change it afterwards"
    assert elsewhere.me().status == 401, "a session outlived its password"


# ---- people ------------------------------------------------------------------------------------------------------
def user_id_of(lab: Lab, username: str) -> str:
    return next(row.user_id for row in lab.cloud.rows(UserRow) if row.username == username)


def sessions_of_a_member(lab: Lab) -> Any:
    assert replace(lab.people["albert"]).login().status == 200
    return user_id_of(lab, "albert")


def promote(lab: Lab, user_id: Any) -> Answer:
    return lab.people["anna"].change_user(user_id, role="owner")


def promote_again(lab: Lab, user_id: Any) -> None:
    assert promote(lab, user_id).status == 200, "can't give the role afterwards"
    assert lab.people["albert"].me().body["user"]["role"] == "owner", "the role did not reach the session"


def another_owner(lab: Lab) -> Any:
    user_id = sessions_of_a_member(lab)
    assert promote(lab, user_id).status == 200
    assert lab.people["albert"].start_direct(len(TEXT)).status == 201
    # Nobody is to sign in again for the one who is removed.
    lab.people["albert"].token = None
    return user_id


def remove_user(lab: Lab, user_id: Any) -> Answer:
    return lab.people["anna"].remove_user(user_id)


def remove_user_again(lab: Lab, user_id: Any) -> None:
    assert remove_user(lab, user_id).status in (204, 404), "can't remove the user afterwards"
    told = lab.people["albert"].login()
    assert told.status == 401, f"a removed user is answered {told}"


# ---- the second factor -------------------------------------------------------------------------------------------
def begun(lab: Lab) -> str:
    """The secret that waits for its code."""
    answer = lab.people["anna"].second_factor("POST", "/setup", password=PASSWORD)
    assert answer.status == 200
    return str(answer.body["secret"])


def begin_second_factor(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].second_factor("POST", "/setup", password=PASSWORD)


def begin_and_confirm(lab: Lab, prepared: Any) -> None:
    """What was begun counts for nothing; the next one does."""
    assert confirm_second_factor(lab, begun(lab)).status == 200, "can't set it up afterwards"


def confirm_second_factor(lab: Lab, secret: Any) -> Answer:
    return lab.people["anna"].second_factor("POST", "/confirm", code=code(secret))


def find_the_second_factor(lab: Lab, secret: Any) -> None:
    """It counts, or it does not; the user can tell by logging in."""
    person = replace(lab.people["anna"])
    answer = person.login()
    assert answer.status == 200, "can't sign in afterwards"
    if "challenge" not in answer.body:
        assert confirm_second_factor(lab, secret).status == 200, "can't confirm it afterwards"
        return
    lab.clock.forward(STEP_SECONDS)
    done = person.second_factor("POST", challenge=answer.body["challenge"], code=code(secret))
    assert done.status == 200, "it counts, but its codes do not"
    lab.clock.forward(STEP_SECONDS)
    fresh = person.second_factor("POST", "/recovery-codes", password=PASSWORD, code=code(secret))
    assert fresh.status == 200, "can't have new recovery codes afterwards"


def with_second_factor(lab: Lab) -> str:
    """Its secret; the next code is a fresh one."""
    secret = begun(lab)
    assert confirm_second_factor(lab, secret).status == 200
    lab.clock.forward(STEP_SECONDS)
    return secret


def waiting_for_a_code(lab: Lab) -> tuple[str, str]:
    """The secret and the challenge of a login."""
    secret = with_second_factor(lab)
    return secret, str(lab.people["anna"].login().body["challenge"])


def ask_for_a_code(lab: Lab, secret: Any) -> Answer:
    return lab.people["anna"].login()


def complete_login(lab: Lab, prepared: Any) -> Answer:
    secret, challenge = prepared
    return lab.people["anna"].second_factor("POST", challenge=challenge, code=code(secret))


def log_in_with_the_next_code(lab: Lab, prepared: Any) -> None:
    secret = prepared[0] if isinstance(prepared, tuple) else prepared
    person = lab.people["anna"]
    lab.clock.forward(STEP_SECONDS)
    challenge = person.login().body["challenge"]
    assert person.second_factor("POST", challenge=challenge, code=code(secret)).status == 200, (
        "can't sign in afterwards"
    )
    assert person.me().status == 200, "the new session is no session"


def remove_second_factor(lab: Lab, secret: Any) -> Answer:
    return lab.people["anna"].second_factor("DELETE", password=PASSWORD, code=code(secret))


def remove_second_factor_again(lab: Lab, secret: Any) -> None:
    lab.clock.forward(STEP_SECONDS)
    assert remove_second_factor(lab, secret).status in (204, 409), "can't remove it afterwards"
    assert "challenge" not in lab.people["anna"].login().body, "it is still asked for"


def colleague_with_second_factor(lab: Lab) -> str:
    """The id of a colleague who has one, and a session."""
    albert = lab.people["albert"]
    secret = str(albert.second_factor("POST", "/setup", password=PASSWORD).body["secret"])
    assert albert.second_factor("POST", "/confirm", code=code(secret)).status == 200
    return str(albert.me().body["user"]["id"])


def reset_second_factor(lab: Lab, user_id: Any) -> Answer:
    return lab.people["anna"].request("POST", f"/users/{user_id}/second-factor/reset")


def reset_second_factor_again(lab: Lab, user_id: Any) -> None:
    assert reset_second_factor(lab, user_id).status == 200, "can't reset it afterwards"
    albert = lab.people["albert"]
    assert albert.me().status == 401, "a session outlived the reset"
    assert "challenge" not in albert.login().body, "it is still asked for"


def owner_with_second_factor(lab: Lab) -> Caller:
    with_second_factor(lab)
    user = lab.stores.users.find_by_username("anna")
    assert user is not None
    return user.caller


def require_second_factor(lab: Lab, owner: Any) -> Answer:
    """As the organisation's route does it."""
    try:
        second_factor.require_second_factor(lab.stores, owner, True)
    except SimulatedCrash:
        return Answer(None)
    except Exception:
        return Answer(503)
    return Answer(200)


def require_second_factor_again(lab: Lab, owner: Any) -> None:
    assert require_second_factor(lab, owner).status == 200, "can't require it afterwards"
    albert = lab.people["albert"]
    me = albert.me()
    # Signed out; or signed in since, to set it up.
    assert me.status == 401 or me.body["user"]["must_set_up_second_factor"], "a session without it goes on"
    assert albert.login().body["user"]["must_set_up_second_factor"] is True


def code(secret: str) -> str:
    """What the authenticator shows now."""
    return pyotp.TOTP(secret).at(int(time.time()))


# ---- sessions ----------------------------------------------------------------------------------------------------
def end_other_sessions(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].request("DELETE", "/auth/sessions")


def end_other_sessions_again(lab: Lab, elsewhere: Any) -> None:
    assert end_other_sessions(lab, elsewhere).status == 200, "can't end them afterwards"
    assert elsewhere.me().status == 401, "the other session is still alive"
    assert lab.people["anna"].me().status == 200, "the one that asked has ended"


def session_not_used_for_a_while(lab: Lab) -> Any:
    lab.clock.forward(NOTED_EVERY_SECONDS + 60)


def use_session(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].me()


def use_session_again(lab: Lab, prepared: Any) -> None:
    assert use_session(lab, prepared).status == 200, "the session has ended"


# ---- uploads -----------------------------------------------------------------------------------------------------
def upload(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].upload(TEXT)


def upload_again(lab: Lab, prepared: Any) -> None:
    assert lab.people["anna"].upload(TEXT).status == 201, "can't upload afterwards"


def uploaded(lab: Lab) -> Any:
    """The message that tells of an upload."""
    assert lab.people["anna"].upload(TEXT).status == 201
    return lab.receive()


def waited(lab: Lab) -> Any:
    """The same after others were before it in the queue, so that a lease is taken."""
    messages = uploaded(lab)
    lab.clock.forward(SHORT_WAIT_SECONDS + 1)
    return messages


def unverified(lab: Lab) -> Any:
    """An object that came straight to the bucket, with no checksum that S3 verified: every byte has to be read."""
    file_id = put_directly(lab, LONG)
    lab.accepted[file_id] = Accepted(lab.people["anna"].organization.organization_id, LONG)
    return lab.receive()


def in_parts(lab: Lab) -> Any:
    """The message that tells of an upload in parts, which is too large for one invocation."""
    lab.work_in_steps()
    person = lab.people["anna"]
    body = {"filename": "film.bin", "type": "text/plain", "metadata": {}}
    file_id = person.request("POST", "/s3/multipart", json_body=body).body["key"].partition("/")[2]
    person.send_part(file_id, LONG)
    assert person.complete(file_id, LONG).status == 200
    return lab.receive()


def to_be_hashed(lab: Lab) -> Any:
    """The same, completed: the message of the first step of its SHA-256."""
    lab.handle(in_parts(lab))
    return lab.receive()


def half_hashed(lab: Lab) -> Any:
    """The message of the last step."""
    lab.handle(to_be_hashed(lab))
    return lab.receive()


def copy_died_and_deleted(lab: Lab) -> None:
    """A worker died in the middle of a copy, and the file was deleted; the message is lost."""
    message = in_parts(lab)
    with lab.wire.watched(lambda call: Mode.DIES_BEFORE if call.name.startswith("S3 Complete") else None):
        assert not lab.handle(message)
    [file_id] = list(lab.accepted)
    assert lab.people["anna"].delete(file_id).status == 204
    lab.cloud.messages(aws.QUEUE).clear()
    lab.clock.forward(3600)


def hashing_died(lab: Lab) -> None:
    """A worker took it and died, and its message is lost."""
    message = to_be_hashed(lab)
    with lab.wire.watched(lambda call: Mode.DIES_BEFORE if call.name.startswith("S3 Get") else None):
        assert not lab.handle(message)
    lab.cloud.messages(aws.QUEUE).clear()
    lab.clock.forward(3600)


def put_directly(lab: Lab, body: bytes, *, size_bytes: int | None = None, filename: str = "direct.txt") -> str:
    """A row and its object, as a direct upload leaves them."""
    person = lab.people["anna"]
    user = lab.stores.users.find_by_username(person.username)
    assert user is not None
    caller = Caller(user.organization_id, user.user_id, user.username)
    file = new_file(caller, filename, None, len(body) if size_bytes is None else size_bytes)
    lab.stores.files.create(replace(file, upload_method="post"))
    lab.cloud.s3.put_object(
        Bucket=aws.TEMP_BUCKET, Key=f"{file.organization_id}/{file.file_id}", Body=body, ChecksumAlgorithm="CRC32"
    )
    return file.file_id


def handle(lab: Lab, prepared: Any) -> None:
    lab.handle(prepared)


def refused(lab: Lab) -> Any:
    tenants.set_policy(lab.stores, lab.people["anna"].organization.organization_id, Policy(refused_types=("text/*",)))
    return uploaded(lab)


def completed_and_announced_again(lab: Lab) -> Any:
    person = lab.people["anna"]
    file_id = person.upload(TEXT).body["id"]
    messages = lab.receive()
    lab.handle(messages)
    organization_id = person.organization.organization_id
    # A presigned upload that is used again: other bytes under the same key.
    lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=f"{organization_id}/{file_id}", Body=b"something else")
    return lab.receive()


def deleted_before_processing(lab: Lab) -> Any:
    person = lab.people["anna"]
    file_id = person.upload(TEXT).body["id"]
    messages = lab.receive()
    assert person.delete(file_id).status == 204
    # The object was overtaken by its deletion.
    key = f"{person.organization.organization_id}/{file_id}"
    lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=key, Body=TEXT)
    return messages


def last_attempt(lab: Lab) -> Any:
    """Two attempts have failed; what fails the third is the standing fault."""
    messages = uploaded(lab)
    for _ in range(2):
        with lab.wire.watched(copy_fails):
            lab.handle(messages)
        lab.clock.forward(10)
        messages = lab.receive()
    return messages


def copy_fails(call: Call) -> Mode | None:
    return Mode.REFUSED if "CopyObject" in call.name else None


# ---- deletion ----------------------------------------------------------------------------------------------------
def pending(lab: Lab) -> str:
    file_id: str = lab.people["anna"].upload(TEXT).body["id"]
    return file_id


def completed(lab: Lab) -> str:
    file_id = pending(lab)
    lab.deliver()
    return file_id


def being_processed(lab: Lab) -> str:
    """Its worker died between copying and completing, with a lease."""
    file_id = pending(lab)
    lab.clock.forward(SHORT_WAIT_SECONDS + 1)
    return _dies_after_copying(lab, file_id)


def copied(lab: Lab) -> str:
    """The same without a lease: the row says nothing of it."""
    return _dies_after_copying(lab, pending(lab))


def _dies_after_copying(lab: Lab, file_id: str) -> str:
    messages = lab.receive()

    def dies(call: Call) -> Mode | None:
        return Mode.DIES_AFTER if "CopyObject" in call.name else None

    with lab.wire.watched(dies):
        lab.handle(messages)
    return file_id


def failed(lab: Lab) -> str:
    """Given up after three attempts; the bytes are still there."""
    file_id = pending(lab)
    for _ in range(3):
        with lab.wire.watched(copy_fails):
            lab.handle(lab.receive())
        lab.clock.forward(10)
    lab.deliver()
    row = lab.row(file_id)
    assert row is not None
    assert row.status == "failed"
    return file_id


def delete(lab: Lab, file_id: str) -> Answer:
    return lab.people["anna"].delete(file_id)


def delete_again(lab: Lab, file_id: str) -> None:
    assert lab.people["anna"].delete(file_id).status in (204, 404), "can't delete afterwards"
    assert lab.people["anna"].details(file_id).status == 404, "it is still listed"


def retry(lab: Lab, file_id: str) -> Answer:
    return lab.people["anna"].request("POST", f"/files/{file_id}/retry")


def retry_again(lab: Lab, file_id: str) -> None:
    """202 when nothing had happened; 409 when it is on its way or done already."""
    assert retry(lab, file_id).status in (202, 409), "can't be retried afterwards"


def rename(lab: Lab, file_id: str) -> Answer:
    return lab.people["anna"].request("PATCH", f"/files/{file_id}", json_body={"filename": "renamed.txt"})


def rename_again(lab: Lab, file_id: str) -> None:
    assert rename(lab, file_id).status == 200, "can't be renamed afterwards"


# ---- events ------------------------------------------------------------------------------------------------------
def untold(lab: Lab) -> str:
    """A file of whose life the publisher has not heard yet."""
    file_id = completed(lab)
    assert rename(lab, file_id).status == 200
    return file_id


def publish(lab: Lab, file_id: str) -> None:
    lab.publish()


def lost_by_the_stream(lab: Lab) -> str:
    file_id = untold(lab)
    lab.clock.forward(3600)
    lab.stream_is_lost = True
    return file_id


def keep_up(lab: Lab, file_id: str) -> None:
    lab.stream_is_lost = True
    lab.keep_up()


def download(lab: Lab, file_id: str) -> Answer:
    return lab.people["anna"].request("GET", f"/files/{file_id}/content")


def download_again(lab: Lab, file_id: str) -> None:
    assert download(lab, file_id).status == 302, "can't be downloaded afterwards"


def follow(lab: Lab, file_id: str) -> Answer:
    return lab.people["anna"].request("GET", "/events?after=1")


def told(lab: Lab) -> str:
    file_id = untold(lab)
    assert lab.publish()
    return file_id


def follow_again(lab: Lab, file_id: str) -> None:
    assert len(follow(lab, file_id).body["events"]) > 1, "the events are not there"


# ---- direct uploads ----------------------------------------------------------------------------------------------
def start_form(lab: Lab, prepared: Any) -> Answer:
    """The client sends the bytes when it is told where to."""
    answer = lab.people["anna"].start_direct(len(TEXT))
    if answer.status == 201:
        lab.people["anna"].send_bytes(answer, TEXT)
    return answer


def start_form_again(lab: Lab, prepared: Any) -> None:
    assert start_form(lab, prepared).status == 201, "can't upload afterwards"


def start_parts(lab: Lab, prepared: Any) -> Answer:
    """The client sends its part when it is told how, and has it put together."""
    person = lab.people["anna"]
    answer = person.start_direct(len(BIG))
    if answer.status == 201:
        person.send_bytes(answer, BIG)
        with lab.wire.by_somebody_else():
            assert person.complete(answer.body["id"], BIG).status == 200
    return answer


def start_parts_again(lab: Lab, prepared: Any) -> None:
    assert start_parts(lab, prepared).status == 201, "can't upload afterwards"


def parts_sent(lab: Lab) -> str:
    answer = lab.people["anna"].start_direct(len(BIG))
    lab.people["anna"].send_bytes(answer, BIG)
    file_id: str = answer.body["id"]
    return file_id


def complete(lab: Lab, file_id: str) -> Answer:
    return lab.people["anna"].complete(file_id, BIG)


def complete_again(lab: Lab, file_id: str) -> None:
    assert complete(lab, file_id).status == 200, "can't be completed afterwards"


def outgrown(lab: Lab) -> str:
    """More has arrived of an upload of unknown size than was reserved for it. The path of its parts."""
    person = lab.people["anna"]
    body = {"filename": "direct.txt", "type": "text/plain", "metadata": {}}
    key = person.request("POST", "/s3/multipart", json_body=body).body["key"]
    file_id: str = key.partition("/")[2]
    person.send_part(file_id, BIG)
    return file_id


def outgrown_in_a_full_organization(lab: Lab) -> str:
    file_id = outgrown(lab)
    organization_id = lab.people["anna"].organization.organization_id
    tenants.set_quota(lab.stores, organization_id, len(BIG) - 1, 1000)
    return file_id


def sign_next_part(lab: Lab, file_id: str) -> Answer:
    """The client finds that it needs no other part, and has them put together."""
    person = lab.people["anna"]
    answer = person.request("POST", f"/files/{file_id}/parts", json_body={"part_numbers": [2]})
    if answer.status == 200:
        with lab.wire.by_somebody_else():
            assert person.complete(file_id, BIG).status == 200
    return answer


def sign_next_part_again(lab: Lab, file_id: str) -> None:
    assert sign_next_part(lab, file_id).status == 200, "the upload can't go on afterwards"


def be_refused_again(lab: Lab, file_id: str) -> None:
    assert sign_next_part(lab, file_id).status == 409, "an upload that is beyond the quota goes on"


def abandoned(lab: Lab) -> None:
    """A form that nothing was sent to, and parts that were never put together; both have expired."""
    assert lab.people["anna"].start_direct(len(TEXT)).status == 201
    parts_sent(lab)
    lab.clock.forward(23 * 3600 + 1)


# ---- API keys ----------------------------------------------------------------------------------------------------
def make_key(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].request("POST", "/api-keys", json_body={"name": "robot", "scopes": ["files:write"]})


def make_key_again(lab: Lab, prepared: Any) -> None:
    """The key whose text nobody has seen is on the list, to be deleted."""
    made = make_key(lab, prepared)
    assert made.status == 201, "can't make a key afterwards"
    assert use_key(lab, made.body).status == 200, "the new key is no key"
    listed = lab.people["anna"].request("GET", "/api-keys").body["api_keys"]
    assert made.body["id"] in [key["id"] for key in listed]
    for key in listed:
        assert lab.people["anna"].request("DELETE", f"/api-keys/{key['id']}").status == 204


def new_key(lab: Lab) -> Any:
    made = make_key(lab, None)
    assert made.status == 201
    return made.body


def use_key(lab: Lab, key: Any) -> Answer:
    return lab.people["anna"].request("GET", "/auth/me", key=key["key"])


def use_key_again(lab: Lab, key: Any) -> None:
    assert use_key(lab, key).status == 200, "the key can't be used afterwards"


def rotate_key(lab: Lab, key: Any) -> Answer:
    body = {"old_secret_seconds": 7 * 24 * 3600}
    return lab.people["anna"].request("POST", f"/api-keys/{key['id']}/rotate", json_body=body)


def rotate_key_again(lab: Lab, key: Any) -> None:
    """Either nothing has happened, or the old secret lives on for as long as was asked for."""
    assert use_key(lab, key).status == 200, "the old secret died, and nobody has the new one"
    rotated = rotate_key(lab, key)
    assert rotated.status == 200, "can't be rotated afterwards"
    assert use_key(lab, rotated.body).status == 200, "the new secret is none"


def key_with_an_upload(lab: Lab) -> Any:
    key = new_key(lab)
    body = {"filename": "open.bin", "size": len(BIG)}
    started = lab.people["anna"].request("POST", "/files", json_body=body, key=key["key"])
    assert started.status == 201
    return key


def delete_key(lab: Lab, key: Any) -> Answer:
    return lab.people["anna"].request("DELETE", f"/api-keys/{key['id']}")


def delete_key_again(lab: Lab, key: Any) -> None:
    assert delete_key(lab, key).status in (204, 404), "can't be deleted afterwards"
    _is_ended(lab, key)


def revoke_key(lab: Lab, key: Any) -> Answer:
    return lab.people["anna"].request("POST", "/api-keys/revoke", json_body={"key": key["key"]})


def revoke_key_again(lab: Lab, key: Any) -> None:
    assert revoke_key(lab, key).status == 204, "can't be revoked afterwards"
    _is_ended(lab, key)


def _is_ended(lab: Lab, key: Any) -> None:
    assert use_key(lab, key).status == 401, "the key lives on"
    assert [row.status for row in lab.rows()] == ["failed"], "its upload is still open"


# ---- the sweep ---------------------------------------------------------------------------------------------------
def neglected(lab: Lab) -> None:
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
    dead = being_processed(lab)
    # A deletion that got only as far as the row.
    with lab.wire.watched(lambda call: Mode.DIES_BEFORE if "DeleteObject" in call.name else None):
        person.delete(dead)
    # It kills its worker every time.
    assert person.upload(b"poison").status == 201
    messages = lab.receive()
    lab.clock.forward(SHORT_WAIT_SECONDS + 1)
    for _ in range(MAX_STARTS):
        with lab.wire.watched(lambda call: Mode.DIES_AFTER if "GetObject" in call.name else None):
            lab.handle(messages)
    lab.cloud.sqs.delete_message(QueueUrl=aws.QUEUE_URL, ReceiptHandle=messages[0]["ReceiptHandle"])
    # Bytes without a row.
    lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key="from/elsewhere", Body=b"stray")
    stray = lab.receive()
    lab.cloud.sqs.delete_message(QueueUrl=aws.QUEUE_URL, ReceiptHandle=stray[0]["ReceiptHandle"])
    lab.clock.forward(2 * 3600)


def sweep(lab: Lab, prepared: Any) -> None:
    lab.sweep()
