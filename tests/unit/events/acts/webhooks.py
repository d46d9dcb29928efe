"""Webhooks. Their addresses hold secrets of the customers', and so do their rows."""

from __future__ import annotations

from typing import Any

from tests.unit.events.acts.act import Acts, Request, Scene, Told

WEBHOOKS = Acts()
on = WEBHOOKS.on
ORIGIN = "https://hooks.example.com"
#: Path and query of a webhook's address.
SECRETS = ("path-of-the-customer", "token-of-the-customer")
URL = f"{ORIGIN}/{SECRETS[0]}?t={SECRETS[1]}"


def webhook(scene: Scene, **more: Any) -> str:
    scene.secrets += SECRETS
    made: str = scene.made("/webhooks", url=URL, **more)["id"]
    return made


def change(scene: Scene, webhook_id: str, **body: Any) -> Request:
    return Request("PATCH", f"/webhooks/{webhook_id}", scene.anna, json_body=body)


@on("POST /webhooks", 201, Told("webhook.created", "webhook", data={"origin": ORIGIN}))
def made(scene: Scene) -> Request:
    return Request("POST", "/webhooks", scene.anna, json_body={"url": URL}, secrets=SECRETS)


@on("POST /webhooks", 400)
def made_for_another_protocol(scene: Scene) -> Request:
    return Request("POST", "/webhooks", scene.anna, json_body={"url": "ftp://hooks.example.com/"})


@on("PATCH /webhooks/{webhook_id}", 200, Told("webhook.changed", "webhook", changes={"description": ("", "Bills")}))
def described(scene: Scene) -> Request:
    return change(scene, webhook(scene), description="Bills")


@on("PATCH /webhooks/{webhook_id}", 200, Told("webhook.changed", "webhook", changes={"origin": (ORIGIN, ORIGIN)}))
def moved_within_its_origin(scene: Scene) -> Request:
    return change(scene, webhook(scene), url=f"{ORIGIN}/{SECRETS[0]}")


@on("PATCH /webhooks/{webhook_id}", 200, Told("webhook.disabled", "webhook"))
def disabled(scene: Scene) -> Request:
    return change(scene, webhook(scene), enabled=False)


@on("PATCH /webhooks/{webhook_id}", 200, Told("webhook.enabled", "webhook"))
def enabled(scene: Scene) -> Request:
    webhook_id = webhook(scene)
    scene.send(change(scene, webhook_id, enabled=False))
    return change(scene, webhook_id, enabled=True)


@on("DELETE /webhooks/{webhook_id}", 204, Told("webhook.deleted", "webhook"))
def deleted(scene: Scene) -> Request:
    return Request("DELETE", f"/webhooks/{webhook(scene)}", scene.anna)


@on("POST /webhooks/{webhook_id}/rotate-secret", 200, Told("webhook.secret_rotated", "webhook"))
def rotated(scene: Scene) -> Request:
    path = f"/webhooks/{webhook(scene)}/rotate-secret"
    return Request("POST", path, scene.anna, json_body={"old_secret_seconds": 60})


@on("POST /webhooks/{webhook_id}/test", 202, Told("webhook.test", "webhook"))
def tested(scene: Scene) -> Request:
    return Request("POST", f"/webhooks/{webhook(scene)}/test", scene.anna)


@on("POST /webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", 404)
def delivery_that_never_was(scene: Scene) -> Request:
    return Request("POST", f"/webhooks/{webhook(scene)}/deliveries/1/redeliver", scene.anna)


@on("POST /webhooks/{webhook_id}/replay", 202)
def replayed(scene: Scene) -> Request:
    """Nothing of the organisation changes: the deliveries show it."""
    return Request("POST", f"/webhooks/{webhook(scene)}/replay", scene.anna, json_body={"after": 0})
