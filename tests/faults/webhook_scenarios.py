"""Scenarios of webhooks."""

from __future__ import annotations

from tests.faults import steps
from tests.faults import webhook_steps as hooks
from tests.faults.scenario import Scenario

WEBHOOK_SCENARIOS: dict[str, Scenario] = {
    "webhook-wake": Scenario(
        "Publishing what a webhook is told",
        "A file was completed; the publisher gets the stream's records and wakes the webhook.",
        hooks.publish,
        hooks.with_an_event,
        posts=True,
    ),
    "webhook-deliver": Scenario(
        "Delivering an event",
        "The function gets the message that wakes it for a webhook; the endpoint takes the event.",
        hooks.deliver,
        hooks.woken,
        posts=True,
    ),
    "webhook-fail": Scenario(
        "A try that fails",
        "The same, but the endpoint answers 503, and takes the event when it is tried again.",
        hooks.fail,
        hooks.woken,
        posts=True,
    ),
    "webhook-retry": Scenario(
        "The try after it",
        "The first try has failed, the next one is due, and the endpoint takes the event.",
        hooks.deliver,
        hooks.failed_once,
        posts=True,
    ),
    "webhook-gone": Scenario(
        "An endpoint that is gone",
        "The endpoint answers 410, and so its webhook is disabled.",
        hooks.be_gone,
        hooks.woken,
        posts=True,
    ),
    "webhook-sweep": Scenario(
        "Sweep of a webhook that nobody was woken for",
        "An event waits for the webhook, and every message was lost.",
        steps.sweep,
        hooks.woken_in_vain,
        posts=True,
    ),
    "webhook-create": Scenario(
        "A new webhook",
        "An owner makes a webhook; if the answer is not 201, another one, and deletes the first if it is there.",
        hooks.make,
        again=hooks.make_again,
        hoped_for=201,
        at_once=True,
    ),
    "webhook-rotate": Scenario(
        "Rotation of a webhook's secret",
        "An owner has it rotated; if the answer is not 200, once more, and the old secret has to live until then.",
        hooks.rotate,
        hooks.made,
        again=hooks.rotate_again,
        at_once=True,
    ),
    "webhook-change": Scenario(
        "Change of a webhook",
        "An owner changes its description; if the answer is not 200, once more.",
        hooks.change,
        hooks.made,
        again=hooks.change_again,
    ),
    "webhook-enable": Scenario(
        "Enabling a webhook",
        "An owner enables a disabled webhook; if the answer is not 200, once more.",
        hooks.enable,
        hooks.disabled,
        again=hooks.enable_again,
    ),
    "webhook-delete": Scenario(
        "Deletion of a webhook",
        "An owner deletes a webhook that an event waits for; if the answer is not 204, once more.",
        hooks.delete,
        hooks.woken,
        again=hooks.delete_again,
        hoped_for=204,
        at_once=True,
    ),
    "webhook-redeliver": Scenario(
        "Another delivery",
        "An owner has a delivered event sent again; if the answer is not 202, once more.",
        hooks.redeliver,
        hooks.delivered,
        again=hooks.redeliver_again,
        hoped_for=202,
        posts=True,
    ),
    "webhook-replay": Scenario(
        "Replay",
        "An owner has all events sent again, of which there is one; if the answer is not 202, once more.",
        hooks.replay,
        hooks.delivered,
        again=hooks.replay_again,
        hoped_for=202,
        posts=True,
    ),
    "webhook-test": Scenario(
        "Test of a webhook",
        "An owner has a test sent; if the answer is not 202, once more.",
        hooks.test,
        hooks.made,
        again=hooks.test_again,
        hoped_for=202,
        posts=True,
    ),
}
