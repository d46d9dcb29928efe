"""E-mail by SES. What cannot be sent is told, and raises nothing: nothing that we do rests on a mail."""

import logging
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.platform.aws import error_code, ses_client

_log = logging.getLogger(__name__)


class Mailer:
    def __init__(self, sender: str) -> None:
        """:param sender: an address that SES has verified, or of a domain that it has."""
        self._sender = sender

    @cached_property
    def _ses(self) -> Any:
        return ses_client()

    def send(self, to: str, subject: str, text: str) -> bool:
        """Whether SES has taken it. Not more than once: whether a call without an answer has sent, nobody knows."""
        try:
            self._ses.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [to]},
                Content={"Simple": {"Subject": _utf8(subject), "Body": {"Text": _utf8(text)}}},
            )
        except ClientError as error:
            # The sentence of SES may hold the address.
            _log.error("SES refused a mail: %s", error_code(error))
            return False
        except BotoCoreError as error:
            _log.error("SES is away: %s", type(error).__name__)
            return False
        return True


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}
