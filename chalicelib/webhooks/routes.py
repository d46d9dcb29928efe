"""Webhooks and their deliveries."""

import time
from typing import Any

from chalice.app import Request, Response

from chalicelib.api_keys.records import time_of
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import BadInput
from chalicelib.kernel.permissions import Scope
from chalicelib.web import queries
from chalicelib.web.answers import answer, no_content
from chalicelib.web.bodies import Body, flag_field, json_object, text_field
from chalicelib.web.routing import Routes
from chalicelib.webhooks import deliveries
from chalicelib.webhooks import logic as webhooks
from chalicelib.webhooks.logic import WebhookChange
from chalicelib.webhooks.records import Delivery, Webhook
from chalicelib.wiring import stores

routes = Routes(__name__)
#: Ample for the sequence of any event.
MAX_SEQUENCE = 10**15 - 1


@routes.on("GET", "/webhooks", needs=Scope.WEBHOOKS_MANAGE)
def list_webhooks(request: Request, caller: Caller) -> Response:
    return answer({"webhooks": [webhook_json(webhook) for webhook in webhooks.list_webhooks(stores(), caller)]})


@routes.on("POST", "/webhooks", needs=Scope.WEBHOOKS_MANAGE, body=Body.OBJECT)
def create_webhook(request: Request, caller: Caller) -> Response:
    body = json_object(request)
    made = webhooks.create_webhook(
        stores(), caller, text_field(body, "url"), _types(body), _description(body) if "description" in body else ""
    )
    return answer(_with_secret(made), 201)


@routes.on("GET", "/webhooks/{webhook_id}", needs=Scope.WEBHOOKS_MANAGE)
def get_webhook(request: Request, caller: Caller, webhook_id: str) -> Response:
    return answer(webhook_json(webhooks.get_webhook(stores(), caller, webhook_id)))


@routes.on("PATCH", "/webhooks/{webhook_id}", needs=Scope.WEBHOOKS_MANAGE, body=Body.OBJECT)
def change_webhook(request: Request, caller: Caller, webhook_id: str) -> Response:
    # Before the body is looked into: what is wrong with it is nobody's business who can't see the webhook.
    webhooks.get_own_webhook(stores(), caller, webhook_id)
    body = json_object(request)
    if not body.keys() & {"url", "types", "description", "enabled"}:
        raise BadInput("Name what to change: url, types, description or enabled.")
    types = _types(body)
    wanted = WebhookChange(
        url=text_field(body, "url") if "url" in body else None,
        types=types,
        all_types="types" in body and types is None,
        description=_description(body) if "description" in body else None,
        enabled=flag_field(body, "enabled") if "enabled" in body else None,
    )
    return answer(webhook_json(webhooks.change_webhook(stores(), caller, webhook_id, wanted)))


@routes.on("DELETE", "/webhooks/{webhook_id}", needs=Scope.WEBHOOKS_MANAGE)
def delete_webhook(request: Request, caller: Caller, webhook_id: str) -> Response:
    webhooks.delete_webhook(stores(), caller, webhook_id)
    return no_content()


@routes.on("POST", "/webhooks/{webhook_id}/rotate-secret", needs=Scope.WEBHOOKS_MANAGE, body=Body.OBJECT)
def rotate_secret(request: Request, caller: Caller, webhook_id: str) -> Response:
    webhooks.get_own_webhook(stores(), caller, webhook_id)
    seconds = json_object(request).get("old_secret_seconds")
    if type(seconds) is not int:
        raise BadInput("old_secret_seconds must be a whole number: how long the present secret lives on.")
    return answer(_with_secret(webhooks.rotate_secret(stores(), caller, webhook_id, seconds)))


@routes.on("POST", "/webhooks/{webhook_id}/test", needs=Scope.WEBHOOKS_MANAGE)
def send_test(request: Request, caller: Caller, webhook_id: str) -> Response:
    return answer({"event_id": deliveries.send_test(stores(), caller, webhook_id)}, 202)


@routes.on("GET", "/webhooks/{webhook_id}/deliveries", needs=Scope.WEBHOOKS_MANAGE)
def list_deliveries(request: Request, caller: Caller, webhook_id: str) -> Response:
    webhooks.get_webhook(stores(), caller, webhook_id)
    before = queries.optional_number(request, "cursor", least=1)
    if before is not None and before > MAX_SEQUENCE:
        raise BadInput("cursor is not one that was given out.")
    limit = queries.whole_number(request, "limit", deliveries.DEFAULT_LIMIT, least=1)
    page = deliveries.list_deliveries(stores(), caller, webhook_id, before, limit)
    next_cursor = str(page.next_before) if page.next_before is not None else None
    return answer({"deliveries": [delivery_json(one) for one in page.deliveries], "next_cursor": next_cursor})


@routes.on("POST", "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", needs=Scope.WEBHOOKS_MANAGE)
def redeliver(request: Request, caller: Caller, webhook_id: str, delivery_id: str) -> Response:
    return answer(delivery_json(deliveries.redeliver(stores(), caller, webhook_id, delivery_id)), 202)


@routes.on("POST", "/webhooks/{webhook_id}/replay", needs=Scope.WEBHOOKS_MANAGE, body=Body.OBJECT)
def replay(request: Request, caller: Caller, webhook_id: str) -> Response:
    webhooks.get_own_webhook(stores(), caller, webhook_id)
    body = json_object(request)
    if ("after" in body) == ("since" in body):
        raise BadInput("Name either after, the sequence of an event, or since, a time.")
    if "since" in body:
        webhook = deliveries.replay_since(stores(), caller, webhook_id, text_field(body, "since"))
    else:
        after = body["after"]
        if type(after) is not int or not 0 <= after <= MAX_SEQUENCE:
            raise BadInput("after must be a whole number: the sequence of an event, or 0 for all that are kept.")
        webhook = deliveries.replay_after(stores(), caller, webhook_id, after)
    return answer(webhook_json(webhook), 202)


def webhook_json(webhook: Webhook) -> dict[str, Any]:
    old_secret_until = webhook.old_secret_expires_at if webhook.has_old_secret(time.time()) else None
    return {
        "id": webhook.webhook_id,
        "url": webhook.url,
        "types": sorted(webhook.types) if webhook.types is not None else None,
        "description": webhook.description,
        "enabled": webhook.enabled,
        "disabled_at": time_of(webhook.disabled_at),
        "disabled_reason": webhook.disabled_reason,
        "failing_since": time_of(webhook.progress.failing_since),
        "position": webhook.progress.position,
        "created_at": webhook.created_at,
        "old_secret_expires_at": time_of(old_secret_until),
    }


def delivery_json(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": str(delivery.sequence),
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "sequence": delivery.sequence,
        "status": delivery.status.value,
        "created_at": delivery.created_at,
        "next_try_at": time_of(delivery.next_try_at),
        "tries": [
            {
                "time": one.at,
                "status": one.status,
                "milliseconds": one.milliseconds,
                "answer": one.answer,
                "reason": one.error,
            }
            for one in reversed(delivery.tries)
        ],
    }


def _with_secret(made: webhooks.NewSecret) -> dict[str, Any]:
    return {**webhook_json(made.webhook), "secret": made.secret}


def _types(body: dict[str, Any]) -> list[str] | None:
    value = body.get("types")
    if value is not None and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise BadInput("types must be a list of types of events, or null for all.")
    return value


def _description(body: dict[str, Any]) -> str:
    value = body["description"]
    if value == "":
        return ""
    return text_field(body, "description")
