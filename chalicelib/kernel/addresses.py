"""What an e-mail address may look like."""

import re

#: RFC 5321, 4.5.3.1.3: a path of 256 characters, of which two are its brackets.
MAX_EMAIL_CHARACTERS = 254
#: ASCII, as SES takes it: the domain of an international address in its xn-- form. No quotes, comments or line breaks.
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)


def is_email_address(text: str) -> bool:
    return len(text) <= MAX_EMAIL_CHARACTERS and _EMAIL.fullmatch(text) is not None
