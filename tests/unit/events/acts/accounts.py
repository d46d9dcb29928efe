"""Logging in and out, passwords, second factors, the people of the organisation."""

from __future__ import annotations

from chalicelib.kernel.permissions import Role
from tests.unit.api import Session
from tests.unit.authenticator import Authenticator, begin, challenge
from tests.unit.events.acts.act import ANY, PASSWORD, Acts, Request, Scene, Told

ACCOUNTS = Acts()
on = ACCOUNTS.on
NEW_PASSWORD = "fresh-pebble-lantern"
FACTOR_ON = {"second_factor": (False, True)}
FACTOR_OFF = {"second_factor": (True, False)}


def ended(reason: str) -> Told:
    return Told("session.ended", "user", data={"reason": reason})


def login(username: str, password: str) -> Request:
    body = {"username": username, "password": password}
    return Request("POST", "/auth/login", json_body=body, secrets=(password,))


# ---- logging in --------------------------------------------------------------------------------------------------
@on("POST /auth/login", 200, Told("session.started", "user", data={"how": "password", "username": "anna"}))
def right_password(scene: Scene) -> Request:
    return login("anna", scene.anna.password)


@on(
    "POST /auth/login",
    200,
    Told("session.started", "user"),
    Told("session.ended", "user", data={"reason": "too_many", "sessions": [ANY]}),
)
def one_session_too_many(scene: Scene) -> Request:
    for _ in range(20):
        scene.api.login("anna", scene.anna.password)
    return login("anna", scene.anna.password)


@on("POST /auth/login", 401, Told("session.failed", "user", "anonymous", data={"step": "password"}))
def wrong_password(scene: Scene) -> Request:
    return login(" Anna ", "not-the-password-of-anna")


@on("POST /auth/login", 401, Told("session.failed", "username", "anonymous", data={"step": "password"}))
def unknown_name(scene: Scene) -> Request:
    # Somebody has typed the password where the name belongs.
    return login("correct-horse-typed-as-name", "correct-horse-typed-twice")


@on("POST /auth/login", 401, Told("session.failed", "username", "anonymous", data={"step": "password"}))
def name_that_nobody_can_have(scene: Scene) -> Request:
    return login("what is this?", "correct-horse-typed-twice")


@on("POST /auth/login", 401, Told("session.failed", "user", "anonymous", data={"step": "password"}))
def disabled_user(scene: Scene) -> Request:
    albert = scene.somebody()
    scene.api.request("PATCH", f"/users/{albert.caller.user_id}", session=scene.anna, json_body={"disabled": True})
    return login(albert.username, PASSWORD)


@on("POST /auth/login", 200)
def first_half(scene: Scene) -> Request:
    """The second half tells it, or its failure."""
    scene.second_factor(scene.anna)
    return login("anna", scene.anna.password)


@on("POST /auth/second-factor", 200, Told("session.started", "user", data={"how": "authenticator"}))
def right_code(scene: Scene) -> Request:
    made = scene.second_factor(scene.anna)
    return second_half(challenge(scene.api, scene.anna), made.code())


@on("POST /auth/second-factor", 200, Told("session.started", "user", data={"how": "recovery_code"}))
def recovery_code(scene: Scene) -> Request:
    made = scene.second_factor(scene.anna)
    return second_half(challenge(scene.api, scene.anna), made.recovery_codes[0])


@on("POST /auth/second-factor", 401, Told("session.failed", "user", "anonymous", data={"step": "code"}))
def wrong_code(scene: Scene) -> Request:
    made = scene.second_factor(scene.anna)
    return second_half(challenge(scene.api, scene.anna), made.code(-600))


@on("POST /auth/second-factor", 401)
def challenge_that_never_was(scene: Scene) -> Request:
    return second_half("x" * 43, "123456")


def second_half(waiting: str, code: str) -> Request:
    return Request(
        "POST", "/auth/second-factor", json_body={"challenge": waiting, "code": code}, secrets=(waiting, code)
    )


# ---- one's own sessions ------------------------------------------------------------------------------------------
@on("POST /auth/logout", 200, ended("signed_out"))
def logout(scene: Scene) -> Request:
    return Request("POST", "/auth/logout", scene.anna)


@on("DELETE /auth/sessions", 200, Told("session.ended", "user", data={"reason": "signed_out", "sessions": [ANY, ANY]}))
def other_sessions(scene: Scene) -> Request:
    scene.api.login("anna", scene.anna.password)
    scene.api.login("anna", scene.anna.password)
    return Request("DELETE", "/auth/sessions", scene.anna)


@on("DELETE /auth/sessions", 200)
def no_other_session(scene: Scene) -> Request:
    return Request("DELETE", "/auth/sessions", scene.anna)


@on("DELETE /auth/sessions/{session_id}", 204, ended("signed_out"))
def one_session(scene: Scene) -> Request:
    scene.api.login("anna", scene.anna.password)
    other = next(one for one in scene.api.get("/auth/sessions", scene.anna).json["sessions"] if not one["current"])
    return Request("DELETE", f"/auth/sessions/{other['id']}", scene.anna)


@on("POST /auth/ticket", 201)
def ticket(scene: Scene) -> Request:
    return Request("POST", "/auth/ticket", scene.anna)


# ---- password and second factor ----------------------------------------------------------------------------------
@on("POST /auth/password", 200, Told("user.password_changed", "user"))
def password(scene: Scene) -> Request:
    return change_of_password(scene.anna, scene.anna.password)


@on("POST /auth/password", 200, Told("user.password_changed", "user"), ended("password_changed"))
def password_with_another_session(scene: Scene) -> Request:
    scene.api.login("anna", scene.anna.password)
    return change_of_password(scene.anna, scene.anna.password)


@on("POST /auth/password", 422)
def password_by_a_wrong_one(scene: Scene) -> Request:
    return change_of_password(scene.anna, "not-the-password-of-anna")


def change_of_password(session: Session, current: str) -> Request:
    body = {"current_password": current, "new_password": NEW_PASSWORD}
    return Request("POST", "/auth/password", session, json_body=body, secrets=(current, NEW_PASSWORD))


@on("POST /auth/second-factor/setup", 200)
def begun(scene: Scene) -> Request:
    """Until it is confirmed nothing has changed for anybody."""
    return Request("POST", "/auth/second-factor/setup", scene.anna, json_body={"password": scene.anna.password})


@on("POST /auth/second-factor/confirm", 200, Told("user.second_factor_enabled", "user", changes=FACTOR_ON))
def confirmed(scene: Scene) -> Request:
    return confirmation(scene, Authenticator(begin(scene.api, scene.anna).json["secret"]))


@on("POST /auth/second-factor/confirm", 200, Told("user.second_factor_enabled", "user"))
def confirmed_another(scene: Scene) -> Request:
    former = scene.second_factor(scene.anna)
    begun = begin(scene.api, scene.anna, code=former.code())
    return confirmation(scene, Authenticator(begun.json["secret"]))


@on(
    "POST /auth/second-factor/confirm",
    200,
    Told("user.second_factor_enabled", "user", changes=FACTOR_ON),
    ended("second_factor_changed"),
)
def confirmed_with_another_session(scene: Scene) -> Request:
    scene.api.login("anna", scene.anna.password)
    return confirmation(scene, Authenticator(begin(scene.api, scene.anna).json["secret"]))


def confirmation(scene: Scene, made: Authenticator) -> Request:
    body, secrets = {"code": made.code()}, (made.secret, made.code())
    return Request("POST", "/auth/second-factor/confirm", scene.anna, json_body=body, secrets=secrets)


@on("POST /auth/second-factor/confirm", 422)
def confirmed_by_a_wrong_code(scene: Scene) -> Request:
    begin(scene.api, scene.anna)
    return Request("POST", "/auth/second-factor/confirm", scene.anna, json_body={"code": "000000"})


@on("POST /auth/second-factor/recovery-codes", 200, Told("user.recovery_codes_renewed", "user"))
def new_recovery_codes(scene: Scene) -> Request:
    return with_code(scene, "POST", "/auth/second-factor/recovery-codes")


@on("DELETE /auth/second-factor", 204, Told("user.second_factor_disabled", "user", changes=FACTOR_OFF))
def factor_removed(scene: Scene) -> Request:
    return with_code(scene, "DELETE", "/auth/second-factor")


def with_code(scene: Scene, method: str, path: str) -> Request:
    code = scene.second_factor(scene.anna).code()
    return Request(method, path, scene.anna, json_body={"password": scene.anna.password, "code": code}, secrets=(code,))


@on("DELETE /auth/second-factor", 422)
def factor_removed_by_a_wrong_code(scene: Scene) -> Request:
    scene.second_factor(scene.anna)
    body = {"password": scene.anna.password, "code": "000000"}
    return Request("DELETE", "/auth/second-factor", scene.anna, json_body=body)


# ---- people ------------------------------------------------------------------------------------------------------
def change(scene: Scene, whom: Session, **body: object) -> Request:
    return Request("PATCH", f"/users/{whom.caller.user_id}", scene.anna, json_body=body)


@on("PATCH /users/{user_id}", 200, Told("user.role_changed", "user", changes={"role": ("member", "admin")}))
def role(scene: Scene) -> Request:
    return change(scene, scene.somebody(), role="admin")


@on("PATCH /users/{user_id}", 200)
def role_as_before(scene: Scene) -> Request:
    return change(scene, scene.somebody(), role="member")


@on(
    "PATCH /users/{user_id}",
    200,
    Told("user.disabled", "user", changes={"disabled": (False, True)}),
    Told("session.ended", "user", data={"reason": "user_disabled", "sessions": [ANY, ANY]}),
)
def disabled(scene: Scene) -> Request:
    return change(scene, scene.somebody(sessions=2), disabled=True)


@on("PATCH /users/{user_id}", 200, Told("user.enabled", "user", changes={"disabled": (True, False)}))
def enabled(scene: Scene) -> Request:
    whom = scene.somebody()
    scene.send(change(scene, whom, disabled=True))
    return change(scene, whom, disabled=False)


@on(
    "PATCH /users/{user_id}",
    200,
    Told("user.role_changed", "user", changes={"role": ("member", "viewer"), "disabled": (False, True)}),
    Told("user.disabled", "user", changes={"role": ("member", "viewer"), "disabled": (False, True)}),
    ended("user_disabled"),
)
def both(scene: Scene) -> Request:
    return change(scene, scene.somebody(), role="viewer", disabled=True)


@on("PATCH /users/{user_id}", 409)
def last_owner(scene: Scene) -> Request:
    return change(scene, scene.anna, role="member")


@on(
    "DELETE /users/{user_id}",
    204,
    Told("user.disabled", "user", changes={"disabled": (False, True)}),
    ended("user_disabled"),
    Told("user.deleted", "user"),
)
def removed(scene: Scene) -> Request:
    return Request("DELETE", f"/users/{scene.somebody().caller.user_id}", scene.anna)


@on("DELETE /users/{user_id}", 409)
def last_owner_removed(scene: Scene) -> Request:
    return Request("DELETE", f"/users/{scene.anna.caller.user_id}", scene.anna)


@on("POST /users/{user_id}/sign-out", 200, ended("signed_out"))
def signed_out(scene: Scene) -> Request:
    return Request("POST", f"/users/{scene.somebody().caller.user_id}/sign-out", scene.anna)


@on("POST /users/{user_id}/sign-out", 200)
def signed_out_without_a_session(scene: Scene) -> Request:
    return Request("POST", f"/users/{scene.somebody(sessions=0).caller.user_id}/sign-out", scene.anna)


@on(
    "POST /users/{user_id}/second-factor/reset",
    200,
    Told("user.second_factor_disabled", "user", changes=FACTOR_OFF),
    ended("second_factor_changed"),
)
def factor_reset(scene: Scene) -> Request:
    whom = scene.somebody(Role.ADMIN)
    scene.second_factor(whom)
    return Request("POST", f"/users/{whom.caller.user_id}/second-factor/reset", scene.anna)
