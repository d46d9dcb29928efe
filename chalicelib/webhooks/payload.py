"""The body of a delivery: the event as the feed shows it, in the payload structure of Standard Webhooks."""

import json

from chalicelib.events.records import PublishedEvent


def payload_of(event: PublishedEvent) -> bytes:
    """JSON of the event, the same bytes at each attempt. ``timestamp`` is ``time`` once more, by the name that Standard
    Webhooks gives it. The address and program of the actor are left out: a receiver is not an auditor.
    """
    told = event.to_json(with_origin=False)
    told["timestamp"] = told["time"]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
