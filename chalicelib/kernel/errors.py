"""The error catalogue: every way in which the product says no, each with its status, its code and its sentence.

Raised by logic and stores, rendered in one place (web/answers.py). Knows no web framework.
"""


class StrongroomError(Exception):
    """A refusal that the caller may read. ``str(error)`` is the sentence of the answer."""

    status = 500
    code = "internal_error"
    sentence = "Something went wrong on our side. Try again; if it stays, quote the request id."

    def __init__(self, sentence: str | None = None) -> None:
        super().__init__(sentence or self.sentence)


class BadInput(StrongroomError):
    status = 400
    code = "bad_input"
    sentence = "The request is not valid."


class NotSignedIn(StrongroomError):
    status = 401
    code = "not_signed_in"
    sentence = "Sign in first: the session is missing, expired or ended."


class WrongCredentials(StrongroomError):
    """One sentence for an unknown user, a wrong password and a disabled user (OWASP ASVS 5, 6.3.8)."""

    status = 401
    code = "wrong_credentials"
    sentence = "Wrong username or password."


class ChallengeEnded(StrongroomError):
    """Unknown, used, too old, or drawn before something of the user changed: the asker can't tell which."""

    status = 401
    code = "challenge_ended"
    sentence = "This login has ended or was never begun. Log in again with the password."


class ForeignOrigin(StrongroomError):
    status = 403
    code = "foreign_origin"
    sentence = "This request came from a page of another origin, which is not allowed to change anything here."


class MissingPermission(StrongroomError):
    """The caller is known, and the thing is the caller's organisation's; so there is nothing to hide."""

    status = 403
    code = "missing_permission"
    sentence = "You may not do this."

    @classmethod
    def of(cls, scope: str) -> "MissingPermission":
        return cls(f"This needs the permission {scope}, which you do not have. Ask an owner of your organisation.")


class SecondFactorRequired(StrongroomError):
    status = 403
    code = "second_factor_required"
    sentence = "Your organisation requires a second factor. Set one up first: POST /auth/second-factor/setup."


class NotYourFile(MissingPermission):
    """The file is the organisation's, so there is nothing to hide; but it is another's to change."""

    code = "not_your_file"
    sentence = "Another has uploaded this file."


class SignUpClosed(StrongroomError):
    status = 403
    code = "sign_up_closed"
    sentence = "New organisations are created by the operators of this service. Ask them, or whoever can invite you."


class FileNotFound(StrongroomError):
    """The file is absent, or of another organisation: the caller can't tell which."""

    status = 404
    code = "file_not_found"
    sentence = "There is no such file."


class UserNotFound(StrongroomError):
    """The user is absent, or of another organisation: the caller can't tell which."""

    status = 404
    code = "user_not_found"
    sentence = "There is no such user."


class ApiKeyNotFound(StrongroomError):
    """The key is absent, or of another organisation: the caller can't tell which."""

    status = 404
    code = "api_key_not_found"
    sentence = "There is no such API key."


class WebhookNotFound(StrongroomError):
    """The webhook is absent, or of another organisation: the caller can't tell which."""

    status = 404
    code = "webhook_not_found"
    sentence = "There is no such webhook."


class DeliveryNotFound(StrongroomError):
    """The event was not sent to this webhook, or so long ago that it is forgotten."""

    status = 404
    code = "delivery_not_found"
    sentence = "There is no such delivery."


class InvitationNotFound(StrongroomError):
    """One sentence for what never was one and for one that is used, deleted, replaced or expired."""

    status = 404
    code = "invitation_not_found"
    sentence = "There is no such invitation. It may have expired, or have been used, deleted or sent anew."


class SessionNotFound(StrongroomError):
    """The session is absent, ended, or another user's: the caller can't tell which."""

    status = 404
    code = "session_not_found"
    sentence = "There is no such session."


class RouteNotFound(StrongroomError):
    status = 404
    code = "route_not_found"
    sentence = "There is nothing at this path."


class MethodNotAllowed(StrongroomError):
    status = 405
    code = "method_not_allowed"
    sentence = "This path does not know this method."


class Conflict(StrongroomError):
    status = 409
    code = "conflict"
    sentence = "The state of the file does not allow this."


class TooManyApiKeys(Conflict):
    code = "too_many_api_keys"
    sentence = "The organisation has as many API keys as it may have. Delete one that is not needed any more."


class TooManyWebhooks(Conflict):
    code = "too_many_webhooks"
    sentence = "The organisation has as many webhooks as it may have. Delete one that is not needed any more."


class WebhookDisabled(Conflict):
    code = "webhook_disabled"
    sentence = "The webhook is disabled. Enable it first."


class UsernameTaken(StrongroomError):
    """In whichever organisation, which the sentence does not tell."""

    status = 409
    code = "username_taken"
    sentence = "This username is taken."


class UsernameLooksTaken(UsernameTaken):
    """By another name that it can be taken for (Unicode TS 39)."""

    code = "username_looks_taken"
    sentence = "This username looks like one that is taken. Choose one that nobody takes for it."


class AlreadyInvited(StrongroomError):
    status = 409
    code = "already_invited"
    sentence = "This address is invited already. Send that invitation again, or delete it first."


class TooManyInvitations(StrongroomError):
    status = 409
    code = "too_many_invitations"
    sentence = "The organisation has too many open invitations. Delete one first."


class InvitationWithdrawn(StrongroomError):
    """Whoever holds the token is told, as only they can do something about it."""

    status = 409
    code = "invitation_withdrawn"
    sentence = "Whoever invited you may not do so any more. Ask somebody else of the organisation to invite you."


class LastOwner(StrongroomError):
    status = 409
    code = "last_owner"
    sentence = "The organisation would be left without an owner. Make somebody else an owner first."


class QuotaExceeded(StrongroomError):
    status = 409
    code = "quota_exceeded"
    sentence = "The quota of the organisation is used up."


class TooMuchOpen(QuotaExceeded):
    """Of one user; the organisation may have room."""

    status = 409
    code = "too_much_open"
    sentence = "You have too many uploads open. Finish one or give one up, then start the next."


class TooLarge(StrongroomError):
    status = 413
    code = "too_large"
    sentence = "The upload is too large."


class UnsupportedMediaType(StrongroomError):
    status = 415
    code = "unsupported_media_type"
    sentence = "The content type of the request is not one that this path reads."


class WrongPassword(StrongroomError):
    """Of somebody who is signed in: no 401, which pages take for the end of the session."""

    status = 422
    code = "wrong_password"
    sentence = "The current password is wrong. Nothing was changed."


class WrongCode(StrongroomError):
    """One sentence for a code that is wrong, too old or was used: only its holder knows which."""

    status = 422
    code = "wrong_code"
    sentence = "The code is wrong or was used before. Nothing was changed; wait for the next code."


class WrongCodeAtLogin(WrongCode):
    """Of somebody who is not signed in yet; the login waits on."""

    status = 401
    code = "wrong_login_code"
    sentence = "The code is wrong or was used before. Wait for the next code."


class TooManyRequests(StrongroomError):
    """``retry_after_seconds`` is when the limit lets the next request through."""

    status = 429
    code = "too_many_requests"
    sentence = "Too many requests."

    def __init__(self, retry_after_seconds: int, sentence: str | None = None) -> None:
        wait = f"Try again in {retry_after_seconds} second{'' if retry_after_seconds == 1 else 's'}."
        super().__init__(f"{sentence or self.sentence} {wait}")
        self.retry_after_seconds = retry_after_seconds


class Unavailable(StrongroomError):
    """Something that we depend on does not answer. It may have done what we asked all the same, so we don't deny it."""

    status = 503
    code = "unavailable"
    sentence = "The service can't reach its storage at the moment; try again shortly."


def catalogue() -> list[type[StrongroomError]]:
    """Every class of error that an answer can be made of."""
    found: list[type[StrongroomError]] = [StrongroomError]
    for error in found:
        found.extend(error.__subclasses__())
    return found


class PermanentFault(Exception):
    """Processing can never succeed: trying again would change nothing.

    :param reason: a sentence for people, kept as the file's ``error_message``.
    :param discard_bytes: the bytes must not stay (refused by policy), so the file can't be reprocessed.
    """

    def __init__(self, reason: str, *, discard_bytes: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.discard_bytes = discard_bytes


class VersionConflict(Exception):
    """Someone else changed the row first; read again and decide anew."""


class TooManyAtOnce(Exception):
    """The organisation has as many files in processing as it may have at once. ``waiting``: how many wait."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} files wait")
        self.waiting = waiting


class CopyGone(Exception):
    """A copy in parts can't go on: it was put together, given up, or has expired."""


class ObjectChanged(Exception):
    """The object was overwritten or removed between two steps that must see the same bytes."""


class ObjectMissing(Exception):
    """There is no object under the key."""
