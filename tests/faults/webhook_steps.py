"""Webhooks: what is done, and what a client does after a bad answer."""

from __future__ import annotations

import time
from typing import Any

from tests.faults import steps, webhook_queue
from tests.faults.lab import Lab
from tests.faults.people import Answer

OLD_SECRET_SECONDS = 24 * 3600
TYPES = ["file.completed"]


# ---- states ------------------------------------------------------------------------------------------------------
def made(lab: Lab) -> Any:
    """A webhook, with its secret."""
    answer = make(lab, None)
    assert answer.status == 201
    assert lab.publish()
    return answer.body


def with_an_event(lab: Lab) -> Any:
    """A file was completed, of which neither the publisher nor the webhook has heard."""
    webhook = made(lab)
    steps.completed(lab)
    return webhook


def woken(lab: Lab) -> Any:
    """The function is about to get the message."""
    webhook = with_an_event(lab)
    assert lab.publish()
    return webhook | {"messages": _received(lab)}


def _received(lab: Lab) -> Any:
    messages = webhook_queue.receive(lab)
    assert messages, "nobody was woken"
    return messages


def woken_in_vain(lab: Lab) -> Any:
    """Every message was lost."""
    webhook = woken(lab)
    webhook_queue.lose_messages(lab)
    lab.clock.forward(3700)
    return webhook


def failed_once(lab: Lab) -> Any:
    """The next try is due."""
    webhook = woken(lab)
    fail(lab, webhook)
    lab.clock.forward(10)
    return webhook | {"messages": _received(lab)}


def delivered(lab: Lab) -> Any:
    webhook = woken(lab)
    deliver(lab, webhook)
    [delivery] = lab.people["anna"].request("GET", f"/webhooks/{webhook['id']}/deliveries").body["deliveries"]
    assert delivery["status"] == "delivered"
    return webhook | {"delivery_id": delivery["id"]}


def publish(lab: Lab, webhook: Any) -> None:
    lab.publish()


# ---- the function that delivers ----------------------------------------------------------------------------------
def deliver(lab: Lab, webhook: Any) -> None:
    webhook_queue.handle(lab, webhook["messages"])


def fail(lab: Lab, webhook: Any) -> None:
    """The endpoint takes nothing now, and anything afterwards."""
    lab.endpoint.refuse()
    deliver(lab, webhook)
    lab.endpoint.accept()


def be_gone(lab: Lab, webhook: Any) -> None:
    lab.endpoint.refuse(410)
    deliver(lab, webhook)


# ---- the API -----------------------------------------------------------------------------------------------------
def _ask(lab: Lab, method: str, webhook: Any, part: str = "", **body: Any) -> Answer:
    return lab.people["anna"].request(method, f"/webhooks/{webhook['id']}{part}", json_body=body or None)


def make(lab: Lab, prepared: Any) -> Answer:
    return lab.people["anna"].request("POST", "/webhooks", json_body={"url": lab.endpoint.url, "types": TYPES})


def make_again(lab: Lab, prepared: Any) -> None:
    """The first may be there, but its secret was lost with the answer: it goes."""
    answer = make(lab, prepared)
    assert answer.status == 201, "can't be made afterwards"
    listed = lab.people["anna"].request("GET", "/webhooks").body["webhooks"]
    for webhook in listed:
        if webhook["id"] != answer.body["id"]:
            assert _ask(lab, "DELETE", webhook).status == 204, "can't be deleted"
    _is_told_what_happens(lab, answer.body)


def rotate(lab: Lab, webhook: Any) -> Answer:
    return _ask(lab, "POST", webhook, "/rotate-secret", old_secret_seconds=OLD_SECRET_SECONDS)


def rotate_again(lab: Lab, webhook: Any) -> None:
    """Either nothing has happened, or deliveries are signed with the old secret, too, as long as was asked for."""
    [row] = webhook_queue.webhooks(lab)
    old = row.old_secret if row.old_secret_expires_at > time.time() else None
    assert webhook["secret"] in (row.secret, old), "the old secret died, and nobody has the new one"
    rotated = rotate(lab, webhook)
    assert rotated.status == 200, "can't be rotated afterwards"
    _is_told_what_happens(lab, rotated.body)


def _is_told_what_happens(lab: Lab, webhook: Any) -> None:
    """A file that is completed now arrives, signed with this secret."""
    assert lab.publish()
    file_id = steps.completed(lab)
    lab.recover()
    last = lab.endpoint.posts[-1]
    assert file_id.encode() in last.body, "it is not told what happens"
    assert last.is_signed_with(webhook["secret"]), "it is not signed with the secret that was given out"


def change(lab: Lab, webhook: Any) -> Answer:
    return _ask(lab, "PATCH", webhook, description="of the warehouse")


def change_again(lab: Lab, webhook: Any) -> None:
    assert change(lab, webhook).status == 200, "can't be changed afterwards"


def enable(lab: Lab, webhook: Any) -> Answer:
    return _ask(lab, "PATCH", webhook, enabled=True)


def disabled(lab: Lab) -> Any:
    webhook = made(lab)
    assert _ask(lab, "PATCH", webhook, enabled=False).status == 200
    return webhook


def enable_again(lab: Lab, webhook: Any) -> None:
    assert enable(lab, webhook).status == 200, "can't be enabled afterwards"


def delete(lab: Lab, webhook: Any) -> Answer:
    return _ask(lab, "DELETE", webhook)


def delete_again(lab: Lab, webhook: Any) -> None:
    assert delete(lab, webhook).status in (204, 404), "can't be deleted afterwards"
    assert not webhook_queue.webhooks(lab), "it is still there"


def redeliver(lab: Lab, webhook: Any) -> Answer:
    return _ask(lab, "POST", webhook, f"/deliveries/{webhook['delivery_id']}/redeliver")


def redeliver_again(lab: Lab, webhook: Any) -> None:
    before = len(lab.endpoint.posts)
    assert redeliver(lab, webhook).status == 202, "can't be sent again afterwards"
    lab.recover()
    assert len(lab.endpoint.posts) > before, "it was not sent again"


def replay(lab: Lab, webhook: Any) -> Answer:
    return _ask(lab, "POST", webhook, "/replay", after=0)


def replay_again(lab: Lab, webhook: Any) -> None:
    before = len(lab.endpoint.posts)
    assert replay(lab, webhook).status == 202, "can't be replayed afterwards"
    lab.recover()
    assert len(lab.endpoint.posts) > before, "nothing was replayed"


def test(lab: Lab, webhook: Any) -> Answer:
    return _ask(lab, "POST", webhook, "/test")


def test_again(lab: Lab, webhook: Any) -> None:
    answer = test(lab, webhook)
    assert answer.status == 202, "can't be tested afterwards"
    lab.recover()
    assert answer.body["event_id"] in lab.endpoint.taken, "the test has not arrived"
