"""What must hold for each event, whatever it tells: it has the described form, and no secret is in it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import jsonschema_rs

from chalicelib import keys
from chalicelib.kernel.tokens import token_digest
from infra.event_schema import TARGET
from infra.openapi import compile_document

#: What always is a secret: a bcrypt hash, a presigned query, an API key, an invitation's token, a signing secret.
_ALWAYS_SECRET = re.compile(
    r"\$2[aby]\$\d\d\$|X-Amz-|Signature=|AWSAccessKeyId|sr_[0-9A-Za-z]{33}_[0-9A-Za-z]|inv_[0-9A-Za-z]{39}_|whsec_"
)
#: Of codes: so few characters may stand in an id by accident.
_SHORT = 8


@cache
def _exact() -> jsonschema_rs.Draft202012Validator:
    components = json.loads(compile_document())["components"]
    return jsonschema_rs.Draft202012Validator({"$ref": "#/components/schemas/Event", "components": components})


@cache
def _served() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads(TARGET.read_text(encoding="utf-8")))


def check_form(events: Iterable[dict[str, Any]]) -> None:
    """Each is as the OpenAPI document says it exactly, and as the served schema allows."""
    for event in events:
        _exact().validate(event)
        _served().validate(event)


def made_by_hand(event: dict[str, Any]) -> bool:
    """Whether a test has written it to have any event: it tells of a file that can't exist."""
    return event["target"]["type"] == "file" and not keys.is_file_id(event["target"]["id"])


def secrets_in(text: str, secrets: Iterable[str]) -> list[str]:
    """The secrets that can be read in a text, or found in it by a hash."""
    found = [match[0] for match in _ALWAYS_SECRET.finditer(text)]
    for secret in secrets:
        forms = [secret, *_hashes(secret)]
        if len(secret) < _SHORT:
            found += re.findall(rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])", text)
            forms = forms[1:]
        found += [form for form in forms if form in text]
    return found


def _hashes(secret: str) -> list[str]:
    digest = hashlib.sha256(secret.encode())
    return [digest.hexdigest(), base64.b64encode(digest.digest()).decode(), token_digest(secret)]
