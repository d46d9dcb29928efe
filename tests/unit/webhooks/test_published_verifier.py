"""Deliveries before the verifier of Standard Webhooks on PyPI; for npm's see ``tests/browser``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from chalicelib.webhooks import logic
from chalicelib.webhooks.signatures import new_secret, sign
from tests.memory.endpoints import OK, answering
from tests.unit.webhooks.lab import URL, Lab


def make(lab: Lab) -> logic.NewSecret:
    return logic.create_webhook(lab.world.stores, lab.world.caller("anna"), URL, ["file.completed"])


def verified(secret: str, body: bytes, headers: Mapping[str, str]) -> Any:
    return Verifier(secret).verify(body, dict(headers))


def test_each_try_is_verified_at_its_time_and_no_other(lab: Lab) -> None:
    secret = make(lab).secret
    lab.behave(answering(503))
    (event_id,) = lab.happen()
    lab.work()
    (first,) = lab.posts()
    assert verified(secret, first.body, first.headers)["id"] == event_id
    lab.behave(OK)
    lab.pass_time(600)
    second = lab.posts()[-1]
    # Within five minutes of the second try, and not of the first.
    lab.forward(-250)
    assert verified(secret, second.body, second.headers) == json.loads(first.body)
    with pytest.raises(WebhookVerificationError):
        # As somebody who has recorded it would send it later.
        verified(secret, first.body, first.headers)


def test_other_bytes_ids_and_secrets_are_refused(lab: Lab) -> None:
    secret = make(lab).secret
    lab.happen()
    lab.work()
    (post,) = lab.posts()
    other = new_secret()
    for key, body, headers in (
        (secret, post.body + b" ", post.headers),
        (secret, post.body, {**post.headers, "webhook-id": "evt_other"}),
        (secret, post.body, {**post.headers, "webhook-timestamp": str(int(post.headers["webhook-timestamp"]) + 1)}),
        (other, post.body, post.headers),
    ):
        with pytest.raises(WebhookVerificationError):
            verified(key, body, headers)


def test_while_a_secret_is_replaced_receivers_with_either_accept(lab: Lab) -> None:
    made = make(lab)
    caller = lab.world.caller("anna")
    new = logic.rotate_secret(lab.world.stores, caller, made.webhook.webhook_id, 3600).secret
    lab.happen()
    lab.work()
    (post,) = lab.posts()
    assert verified(made.secret, post.body, post.headers) == verified(new, post.body, post.headers)
    lab.forward(3601)
    lab.happen()
    lab.work()
    later = lab.posts()[-1]
    assert verified(new, later.body, later.headers)
    with pytest.raises(WebhookVerificationError):
        verified(made.secret, later.body, later.headers)


def test_signature_is_that_of_the_specifications_example() -> None:
    secret, id, timestamp = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330
    signed = sign([secret], id, timestamp, b'{"test": 2432232314}')
    assert signed["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
