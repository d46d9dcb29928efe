"""API keys, invitations, the organisation itself, the export of its trail."""

from __future__ import annotations

from typing import Any

from tests.unit.events.acts.act import ANY, Acts, Request, Scene, Told
from tests.unit.keys import as_session, ask_for_key

ORGANIZATION = Acts()
on = ORGANIZATION.on
NEW_PASSWORD = "fresh-pebble-lantern"


# ---- API keys ----------------------------------------------------------------------------------------------------
def key(scene: Scene, **more: Any) -> Any:
    return ask_for_key(scene.api, scene.anna, ["files:read"], **more).json


@on("POST /api-keys", 201, Told("api_key.created", "api_key", data={"name": "robot"}))
def new_key(scene: Scene) -> Request:
    return Request("POST", "/api-keys", scene.anna, json_body={"name": "robot", "scopes": ["files:read"]})


@on("POST /api-keys", 201, Told("api_key.created", "api_key", "api_key"))
def new_key_by_a_key(scene: Scene) -> Request:
    maker = as_session(ask_for_key(scene.api, scene.anna, ["files:read", "keys:manage"]))
    return Request("POST", "/api-keys", maker, json_body={"name": "child", "scopes": ["files:read"]})


@on(
    "PATCH /api-keys/{key_id}",
    200,
    Told(
        "api_key.changed",
        "api_key",
        changes={"name": ("robot", "nightly"), "scopes": (["files:read", "files:write"], ["files:read"])},
    ),
)
def changed_key(scene: Scene) -> Request:
    made = ask_for_key(scene.api, scene.anna, ["files:read", "files:write"]).json
    body = {"name": "nightly", "scopes": ["files:read"]}
    return Request("PATCH", f"/api-keys/{made['id']}", scene.anna, json_body=body)


@on("PATCH /api-keys/{key_id}", 200)
def key_as_before(scene: Scene) -> Request:
    return Request("PATCH", f"/api-keys/{key(scene)['id']}", scene.anna, json_body={"name": "robot"})


@on("POST /api-keys/{key_id}/rotate", 200, Told("api_key.rotated", "api_key"))
def rotated_key(scene: Scene) -> Request:
    return Request("POST", f"/api-keys/{key(scene)['id']}/rotate", scene.anna, json_body={"old_secret_seconds": 60})


@on("DELETE /api-keys/{key_id}", 204, Told("api_key.revoked", "api_key"), Told("api_key.deleted", "api_key"))
def deleted_key(scene: Scene) -> Request:
    return Request("DELETE", f"/api-keys/{key(scene)['id']}", scene.anna)


@on("POST /api-keys/revoke", 204, Told("api_key.revoked", "api_key", "api_key"))
def revoked_key(scene: Scene) -> Request:
    return Request("POST", "/api-keys/revoke", json_body={"key": key(scene)["key"]})


@on("POST /api-keys/revoke", 204)
def revoked_key_again(scene: Scene) -> Request:
    found = key(scene)["key"]
    scene.api.post("/api-keys/revoke", json_body={"key": found})
    return Request("POST", "/api-keys/revoke", json_body={"key": found})


# ---- invitations -------------------------------------------------------------------------------------------------
def invitation(scene: Scene) -> Any:
    return scene.made("/invitations", role="member", email="carla@example.com")


@on("POST /invitations", 201, Told("invitation.created", "invitation", data={"email": "carla@example.com"}))
def invited(scene: Scene) -> Request:
    return Request("POST", "/invitations", scene.anna, json_body={"role": "member", "email": "carla@example.com"})


@on("POST /invitations", 409)
def invited_again(scene: Scene) -> Request:
    invitation(scene)
    return Request("POST", "/invitations", scene.anna, json_body={"role": "member", "email": "carla@example.com"})


@on(
    "POST /invitations/{invitation_id}/resend",
    200,
    Told("invitation.renewed", "invitation", changes={"expires_at": (ANY, ANY)}),
)
def resent(scene: Scene) -> Request:
    made = invitation(scene)
    scene.clock.shift(60)
    return Request("POST", f"/invitations/{made['id']}/resend", scene.anna)


@on("DELETE /invitations/{invitation_id}", 204, Told("invitation.deleted", "invitation"))
def revoked(scene: Scene) -> Request:
    return Request("DELETE", f"/invitations/{invitation(scene)['id']}", scene.anna)


@on(
    "POST /invitations/accept",
    201,
    Told("invitation.accepted", "invitation"),
    Told("user.created", "user", data={"username": "carla", "role": "member"}),
    Told("session.started", "user", data={"how": "invitation"}),
)
def accepted(scene: Scene) -> Request:
    return acceptance(invitation(scene)["token"], "carla")


@on("POST /invitations/accept", 409)
def accepted_with_a_taken_name(scene: Scene) -> Request:
    return acceptance(invitation(scene)["token"], "anna")


@on("POST /invitations/accept", 404)
def accepted_with_a_dead_token(scene: Scene) -> Request:
    made = invitation(scene)
    scene.api.delete(f"/invitations/{made['id']}", scene.anna)
    return acceptance(made["token"], "carla")


def acceptance(token: str, username: str) -> Request:
    body = {"token": token, "username": username, "password": NEW_PASSWORD}
    return Request("POST", "/invitations/accept", json_body=body, secrets=(token, NEW_PASSWORD))


# ---- the organisation --------------------------------------------------------------------------------------------
@on(
    "POST /organizations",
    201,
    Told("organization.created", "organization", data={"name": "Zeta"}),
    Told("user.created", "user", data={"username": "zoe", "role": "owner"}),
    Told("session.started", "user", data={"how": "sign_up"}),
)
def sign_up(scene: Scene) -> Request:
    return sign_up_as("zoe")


@on("POST /organizations", 409)
def sign_up_with_a_taken_name(scene: Scene) -> Request:
    return sign_up_as("anna")


def sign_up_as(username: str) -> Request:
    body = {"name": "Zeta", "username": username, "password": NEW_PASSWORD}
    return Request("POST", "/organizations", json_body=body, secrets=(NEW_PASSWORD,))


def change(scene: Scene, **body: Any) -> Request:
    return Request("PATCH", "/organization", scene.anna, json_body=body)


@on("PATCH /organization", 200, Told("organization.changed", "organization", changes={"name": ("Acme", "Acme 2")}))
def renamed(scene: Scene) -> Request:
    return change(scene, name="Acme 2")


@on(
    "PATCH /organization",
    200,
    Told("organization.policy_changed", "organization", changes={"refused_types": ([], ["text/html"])}),
)
def policy(scene: Scene) -> Request:
    return change(scene, policy={"refused_types": ["text/html"]})


@on(
    "PATCH /organization",
    200,
    Told("organization.changed", "organization", changes={"name": ("Acme", "Acme 2")}),
    Told("organization.policy_changed", "organization", changes={"max_file_bytes": (None, 7)}),
)
def name_and_policy(scene: Scene) -> Request:
    return change(scene, name="Acme 2", policy={"max_file_bytes": 7})


@on("PATCH /organization", 200)
def as_before(scene: Scene) -> Request:
    return change(scene, name="Acme", policy={"match_extension": False})


@on(
    "PATCH /organization",
    200,
    Told("organization.security_changed", "organization", changes={"require_second_factor": (False, True)}),
    Told("session.ended", "user", data={"reason": "second_factor_required"}),
)
def second_factor_required(scene: Scene) -> Request:
    """Who has none is signed out."""
    scene.second_factor(scene.anna)
    scene.somebody()
    return change(scene, require_second_factor=True)


@on("PATCH /organization", 400)
def half_a_change(scene: Scene) -> Request:
    return change(scene, name="Acme 2", policy={"max_file_bytes": -1})


@on("GET /audit/export", 200, Told("audit.exported", "audit", data={"filters": {"type": ["file.*"]}, "events": 0}))
def exported(scene: Scene) -> Request:
    return Request("GET", "/audit/export?type=file.*", scene.anna)
