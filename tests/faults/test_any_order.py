"""Users of two organisations, workers that die anywhere, and hypothesis in search of an order that breaks it.

Each rule is something that happens in the world: an upload, a delivery, a deletion, a sweep, time passing; most of them
with a call at which the process dies, or loses the answer. After every step the counters equal a recount, nobody sees
what is another organisation's, and no accepted upload is lost; at the end all comes to rest and the audit is clean.
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule, run_state_machine_as_test

from chalicelib import keys
from tests.faults import cloud as aws
from tests.faults.audit import audit, wrong_counters, wrong_open_uploads, wrong_sessions
from tests.faults.crash_points import MODES
from tests.faults.lab import Lab
from tests.faults.wire import Call, Mode, Plan

#: The long form is for `make faults`.
EXAMPLES, STEPS = (300, 40) if os.environ.get("FAULTS_LONG") else (12, 25)

usernames = st.sampled_from(["anna", "albert", "berta", "boris"])
bodies = st.sampled_from([b"", b"text\n", b"%PDF-1.7\n", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, b"x" * 70_000])
minutes = st.sampled_from([1, 5, 16, 95])
#: Mostly nothing goes wrong; else this call, in this way.
faults = st.one_of(
    st.none(),
    st.tuples(st.integers(0, 12), st.sampled_from(MODES)),
)
Fault = tuple[int, Mode] | None


def plan_of(fault: Fault) -> Plan | None:
    if fault is None:
        return None
    position, mode = fault

    def plan(call: Call) -> Mode | None:
        return mode if call.position == position else None

    return plan


class World(RuleBasedStateMachine):
    lab: Lab

    files = Bundle("files")

    def __init__(self) -> None:
        super().__init__()
        self.lab.start_over()

    @rule(target=files, username=usernames, body=bodies, fault=faults)
    def upload(self, username: str, body: bytes, fault: Fault) -> tuple[str, str]:
        before = {row.file_id for row in self.lab.rows()}
        with self.lab.wire.watched(plan_of(fault)):
            answer = self.lab.people[username].upload(body)
        assert answer.status in (201, 503, None), answer
        made = {row.file_id for row in self.lab.rows()} - before
        return username, (answer.body["id"] if answer.status == 201 else next(iter(made), keys.new_file_id()))

    @rule(target=files, username=usernames, body=bodies, fault=faults)
    def start_direct(self, username: str, body: bytes, fault: Fault) -> tuple[str, str]:
        person = self.lab.people[username]
        with self.lab.wire.watched(plan_of(fault)):
            answer = person.start_direct(len(body))
        assert answer.status in (201, 503, None), answer
        if answer.status != 201:
            return username, keys.new_file_id()
        person.send_bytes(answer, body)
        return username, answer.body["id"]

    @rule(file=files, body=bodies)
    def use_a_presigned_form_again(self, file: tuple[str, str], body: bytes) -> None:
        """Only where it can't break the law: a completed file. Before, the later bytes are the upload."""
        username, file_id = file
        row = self.lab.row(file_id)
        if row is not None and row.status == "completed":
            key = keys.temp_key(self.lab.people[username].organization.organization_id, file_id)
            self.lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=key, Body=body)

    @rule(fault=faults)
    def deliver(self, fault: Fault) -> None:
        if messages := self.lab.receive():
            with self.lab.wire.watched(plan_of(fault)):
                self.lab.handle(messages)

    @rule(fault=faults)
    def deliver_two_at_once(self, fault: Fault) -> None:
        if messages := [*self.lab.receive(), *self.lab.receive()]:
            with self.lab.wire.watched(plan_of(fault)):
                self.lab.handle(messages)

    @rule(data=st.data())
    def announce_again(self, data: Any) -> None:
        """At least once, says S3."""
        if bodies_queued := [message.body for message in self.lab.cloud.messages(aws.QUEUE)]:
            self.lab.cloud.sqs.send_message(
                QueueUrl=aws.QUEUE_URL, MessageBody=data.draw(st.sampled_from(sorted(bodies_queued)))
            )

    @rule(file=consumes(files), fault=faults)
    def delete(self, file: tuple[str, str], fault: Fault) -> None:
        username, file_id = file
        with self.lab.wire.watched(plan_of(fault)):
            answer = self.lab.people[username].delete(file_id)
        assert answer.status in (204, 404, 503, None), answer

    @rule(username=usernames, file=files)
    def meddle(self, username: str, file: tuple[str, str]) -> None:
        """Nobody sees, deletes, renames or retries what is another organisation's."""
        owner, file_id = file
        person = self.lab.people[username]
        if person.organization.organization_id == self.lab.people[owner].organization.organization_id:
            return
        assert person.details(file_id).status == 404
        assert person.request("DELETE", f"/files/{file_id}").status == 404
        assert person.request("POST", f"/files/{file_id}/retry").status == 404
        assert person.request("PATCH", f"/files/{file_id}", json_body={"filename": "mine"}).status == 404

    @rule(file=files, fault=faults)
    def retry(self, file: tuple[str, str], fault: Fault) -> None:
        username, file_id = file
        with self.lab.wire.watched(plan_of(fault)):
            answer = self.lab.people[username].request("POST", f"/files/{file_id}/retry")
        assert answer.status in (202, 404, 409, 503, None), answer

    @rule(fault=faults)
    def sweep(self, fault: Fault) -> None:
        with self.lab.wire.watched(plan_of(fault)):
            self.lab.sweep()

    @rule(waiting=minutes)
    def wait(self, waiting: int) -> None:
        self.lab.clock.forward(waiting * 60)
        self.lab.sign_in_expired()

    @rule()
    def redrive(self) -> None:
        self.lab.redrive()

    @rule(username=usernames, fault=faults)
    def log_in(self, username: str, fault: Fault) -> None:
        with self.lab.wire.watched(plan_of(fault)):
            answer = self.lab.people[username].login()
        assert answer.status in (200, 503, None), answer

    @invariant()
    def counters_equal_a_recount(self) -> None:
        assert not list(wrong_counters(self.lab, self.lab.rows()))
        assert not list(wrong_open_uploads(self.lab, self.lab.rows()))

    @invariant()
    def sessions_are_listed(self) -> None:
        assert not list(wrong_sessions(self.lab))

    @invariant()
    def no_accepted_upload_is_lost(self) -> None:
        """Each still has its row, and its bytes where the row's status says."""
        rows = {row.file_id: row for row in self.lab.rows()}
        temp, permanent = self.lab.temp(), self.lab.permanent()
        for file_id, accepted in self.lab.accepted.items():
            if accepted.given_up:
                continue
            row = rows.get(file_id)
            assert row is not None, f"{file_id} is gone"
            kept = permanent.get(keys.permanent_key(row.organization_id, file_id, row.object_name))
            sent = temp.get(keys.temp_key(row.organization_id, file_id))
            assert accepted.body == (kept if row.status == "completed" else sent), f"{file_id}, {row.status}"

    @invariant()
    def every_object_is_in_its_organizations_prefix(self) -> None:
        known = {person.organization.organization_id for person in self.lab.people.values()}
        for key in [*self.lab.temp(), *self.lab.permanent()]:
            assert key.split("/")[0] in known

    def teardown(self) -> None:
        self.lab.recover()
        self.lab.redrive()
        self.lab.recover()
        assert not audit(self.lab)


def test_whatever_the_order(lab: Lab) -> None:
    World.lab = lab
    run_state_machine_as_test(
        World,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            # Each example is its own; the database and the shrinking of a slow example would only cost time in CI.
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
