"""A connection that breaks while an upload is being read is taken up at the byte where it broke."""

from __future__ import annotations

from hashlib import sha256

import pytest

from chalicelib import keys
from tests.faults import cloud as aws
from tests.faults.announcements import status
from tests.faults.audit import audit
from tests.faults.lab import Lab
from tests.faults.steps import BIG, LONG, put_directly
from tests.faults.wire import Call, Mode

BREAKS = [Mode.ANSWER_LOST, Mode.SERVER_ERROR]


def reads(calls: list[Call]) -> int:
    return sum(call.name == "S3 GetObject temp" for call in calls)


@pytest.mark.parametrize("how", BREAKS)
def test_breaks_in_the_middle_cost_no_attempt(lab: Lab, how: Mode) -> None:
    file_id = put_directly(lab, BIG)
    pieces = 0

    def every_third(call: Call) -> Mode | None:
        nonlocal pieces
        pieces += call.name.endswith("body")
        return how if call.name.endswith("body") and pieces % 3 == 0 else None

    with lab.wire.watched(every_third) as calls:
        lab.deliver()
    row = lab.row(file_id)
    assert row is not None
    assert (row.status, row.attempts) == ("completed", 1)
    assert reads(calls) > 2
    assert not audit(lab)


@pytest.mark.parametrize("how", BREAKS)
def test_storage_that_gives_nothing_is_left_to_the_queue(lab: Lab, how: Mode) -> None:
    file_id = put_directly(lab, LONG)
    with lab.wire.watched(lambda call: how if call.name.endswith("body") else None) as calls:
        lab.handle(lab.receive())
    assert reads(calls) == 1
    assert status(lab, file_id) == "pending"
    lab.recover()
    assert status(lab, file_id) == "completed"
    assert not audit(lab)


def test_bytes_of_two_uploads_are_never_mixed(lab: Lab) -> None:
    """The object is overwritten while the connection is broken: what was read so far belongs to other bytes."""
    file_id = put_directly(lab, BIG)
    key = keys.temp_key(lab.people["anna"].organization.organization_id, file_id)
    other = BIG[::-1]
    pieces = 0

    def overwritten_at_the_third(call: Call) -> Mode | None:
        nonlocal pieces
        pieces += call.name.endswith("body")
        if not call.name.endswith("body") or pieces != 3:
            return None
        with lab.wire.by_somebody_else():
            lab.cloud.s3.put_object(Bucket=aws.TEMP_BUCKET, Key=key, Body=other, ChecksumAlgorithm="CRC32")
        return Mode.ANSWER_LOST

    with lab.wire.watched(overwritten_at_the_third) as calls:
        lab.handle(lab.receive())
    assert reads(calls) == 2
    assert pieces == 3, "nothing may be read of what took its place"
    assert status(lab, file_id) == "pending"
    lab.recover()
    row = lab.row(file_id)
    assert row is not None
    assert (row.status, row.sha256_hash) == ("completed", sha256(other).hexdigest())
    assert not audit(lab)
