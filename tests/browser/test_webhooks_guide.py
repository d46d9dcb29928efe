"""The JavaScript of docs/webhooks.md, run as it stands there by Node.js with the published package."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from chalicelib.events.records import Event, EventType, PendingEvent, PublishedEvent, Target
from chalicelib.webhooks.payload import payload_of
from chalicelib.webhooks.signatures import new_secret, sign
from infra.local.processes import HOST, Child, answers, free_port
from infra.packaging import ROOT
from tests.browser.environment import HERE
from tests.integration.conftest import Output, await_condition

(RECEIVER,) = re.findall(r"^```js\n(.*?)^```$", (ROOT / "docs" / "webhooks.md").read_text(), re.MULTILINE | re.DOTALL)
SECRET = new_secret()
EVENT = Event(
    organization_id="organization",
    type=EventType.FILE_COMPLETED,
    target=Target("file", "größe 漢"),
    occasion="1",
    data={},
)

BODY = payload_of(
    PublishedEvent("organization", 5, "", PendingEvent("organization", EVENT.event_id, EVENT.time, EVENT.told).line)
)


@pytest.fixture
def output() -> Output:
    return Output()


@pytest.fixture
def url(tmp_path: Path, output: Output) -> Iterator[str]:
    """Of the receiver, which finds the package where Node.js looks for it: beside the program."""
    (tmp_path / "receiver.mjs").write_text(RECEIVER)
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "WEBHOOK_SECRET": SECRET, "PORT": str(port)}
    receiver = Child("receiver", ["node", "receiver.mjs"], environment, tmp_path, output.take)
    try:
        await_condition(lambda: answers(port), "the receiver listening")
        yield f"http://{HOST}:{port}/hook"
    finally:
        receiver.stop()


def post(url: str, secrets: list[str], seconds_ago: int = 0, body: bytes = BODY) -> int:
    headers = sign(secrets, EVENT.event_id, int(time.time()) - seconds_ago, BODY)
    return httpx.post(url, content=body, headers=headers, trust_env=False).status_code


def test_event_is_accepted_each_time_and_handled_once(url: str, output: Output) -> None:
    assert [post(url, [SECRET]), post(url, [new_secret(), SECRET])] == [204, 204]
    await_condition(lambda: output.lines, "the receiver's line")
    assert output.lines == ["receiver | 5 file.completed größe 漢"]


def test_what_is_not_signed_so_is_refused(url: str, output: Output) -> None:
    changed = BODY.replace(b"completed", b"failed")
    assert [post(url, [new_secret()]), post(url, [SECRET], 301), post(url, [SECRET], body=changed)] == [401, 401, 401]
    assert output.lines == []
