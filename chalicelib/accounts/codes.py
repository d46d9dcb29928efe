"""The codes of a second factor: from an authenticator, by the time (RFC 6238), and those for when it is lost."""

import hmac
import re
import secrets
import time
from dataclasses import replace
from io import BytesIO

from chalicelib.accounts.records import SecondFactor
from chalicelib.kernel.tokens import token_digest

#: What an authenticator shows above the username.
ISSUER = "Strongroom"
STEP_SECONDS = 30
#: Clocks may differ by so many steps, either way (RFC 6238, 5.2).
SKEW_STEPS = 1
RECOVERY_CODES = 10
#: 120 random bits: from 112 up a plain hash can't be searched (OWASP ASVS 5, 6.5.2).
_RECOVERY_CHARACTERS = 24
_RECOVERY_GROUP = 6
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def new_secret() -> str:
    """160 random bits in base32, the form that authenticators take."""
    import pyotp

    return pyotp.random_base32()


def otpauth_uri(secret: str, username: str) -> str:
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=username, issuer_name=ISSUER)


def qr_svg(text: str) -> str:
    """A QR code as an SVG document."""
    import segno

    drawn = BytesIO()
    segno.make(text, micro=False).save(drawn, kind="svg", scale=4, xmldecl=False, nl=False)
    return drawn.getvalue().decode()


def new_recovery_codes() -> list[str]:
    return [_new_recovery_code() for _ in range(RECOVERY_CODES)]


def recovery_hash(code: str) -> str:
    return token_digest(f"recovery {_compact(code)}")


def step_of(secret: str, code: str, last_step: int = -1) -> int | None:
    """The time step that this code of an authenticator is of, or None: wrong, too old, or not later than the last."""
    import pyotp

    totp, now = pyotp.TOTP(secret), int(time.time()) // STEP_SECONDS
    # Each is compared, so that the time tells nothing.
    steps = range(now - SKEW_STEPS, now + SKEW_STEPS + 1)
    right = [
        step for step in steps if hmac.compare_digest(totp.generate_otp(step), _compact(code)) and step > last_step
    ]
    return right[0] if right else None


def use(second_factor: SecondFactor, code: str) -> SecondFactor | None:
    """The second factor once this code, of either kind, is used; None: it can't be."""
    compact = _compact(code)
    if re.fullmatch(r"[0-9]{6}", compact):
        step = step_of(second_factor.secret, compact, second_factor.last_step)
        return replace(second_factor, last_step=step) if step is not None else None
    left = tuple(one for one in second_factor.recovery_codes if one != recovery_hash(compact))
    return replace(second_factor, recovery_codes=left) if left != second_factor.recovery_codes else None


def _new_recovery_code() -> str:
    characters = "".join(secrets.choice(_ALPHABET) for _ in range(_RECOVERY_CHARACTERS))
    return "-".join(characters[at : at + _RECOVERY_GROUP] for at in range(0, _RECOVERY_CHARACTERS, _RECOVERY_GROUP))


def _compact(code: str) -> str:
    """As people type it: with spaces, dashes and capitals. What can be no code of ours becomes none."""
    compact = re.sub(r"[\s-]", "", code[:200]).lower()
    return compact if compact.isascii() else ""
