"""Events of a deployed stack: by the stream into the feed, to a webhook, into the audit trail, by the roles' rights."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

from tests.receiver import receiver

from .stack import DeployedStack, Member

TYPES = ["file.completed", "file.created", "file.deleted"]


def followed(stack: DeployedStack, member: Member, after: int = 0) -> list[dict[str, Any]]:
    answer = stack.api.get("/events", headers=member.headers, params={"after": after, "types": ",".join(TYPES)})
    assert answer.status_code == 200, answer.text
    events: list[dict[str, Any]] = answer.json()["events"]
    return events


def test_feed_webhook_and_audit_tell_the_same(stack: DeployedStack) -> None:
    member = stack.sign_up("Telling")
    with receiver() as made:
        hook = stack.api.post("/webhooks", headers=member.headers, json={"url": made.url(), "types": TYPES})
        assert hook.status_code == 201, hook.text
        record = stack.uploaded(member)
        assert stack.api.delete(f"/files/{record['id']}", headers=member.headers).status_code == 204
        stack.wait_until(lambda: len(followed(stack, member)) == 3)
        stack.wait_until(lambda: len(made.received) >= 3)
    events = followed(stack, member)
    assert [event["type"] for event in events] == ["file.created", "file.completed", "file.deleted"]
    posted = {json.loads(body)["id"]: (head, body) for head, body in made.received}
    assert set(posted) == {event["id"] for event in events}
    for event_id, (head, body) in posted.items():
        headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        assert headers["webhook-id"] == event_id
        key = base64.b64decode(hook.json()["secret"].removeprefix("whsec_"))
        signed = f"{event_id}.{headers['webhook-timestamp']}.".encode() + body
        signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{signature}"
    trail = stack.api.get(
        "/audit", headers=member.headers, params={"target": record["id"], "type": "file.deleted"}
    ).json()["events"]
    assert [event["actor"]["name"] for event in trail] == [member.username]
    *exported, summary = stack.api.get(
        "/audit/export", headers=member.headers, params={"type": "file.*"}
    ).text.splitlines()
    assert [json.loads(line)["id"] for line in exported] == [event["id"] for event in events]
    assert json.loads(summary)["export"]["complete"]
