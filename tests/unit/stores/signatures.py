"""What S3 checks of a signed URL and of a signed form, from AWS's description of it; moto checks neither.

"Authenticating Requests: Using Query Parameters (AWS Signature Version 4)" and "Creating a POST Policy", both in the
Amazon S3 API Reference. Nothing of botocore is used, which has made the signatures.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit


def url_is_valid(http_method: str, url: str, body: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> bool:
    """Whether S3 takes this request, with a Content-Length of what arrives, at this moment.

    :param headers: sent besides, in lower case. S3 refuses one of Amazon's own that is not signed.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    signature = query.pop("X-Amz-Signature")
    signed_at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if datetime.now(UTC) >= signed_at + timedelta(seconds=int(query["X-Amz-Expires"])):
        return False
    sent = {"host": parts.netloc, "content-length": str(len(body)), **headers}
    names = query["X-Amz-SignedHeaders"].split(";")
    if not set(names) <= set(sent) or any(name.startswith("x-amz-") and name not in names for name in headers):
        return False
    request = [
        http_method,
        parts.path,
        "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query.items())),
        *[f"{name}:{sent[name]}" for name in names],
        "",
        ";".join(names),
        "UNSIGNED-PAYLOAD",
    ]
    scope = query["X-Amz-Credential"].partition("/")[2]
    digest = hashlib.sha256("\n".join(request).encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", query["X-Amz-Date"], scope, digest])
    return hmac.compare_digest(signature, _sign(scope, text))


def form_is_valid(bucket: str, fields: dict[str, str], size_bytes: int) -> bool:
    """Whether S3 takes a POST of these fields to this bucket, with a file of this size, at this moment."""
    sent = dict(fields)
    encoded = sent.pop("policy")
    scope = sent["x-amz-credential"].partition("/")[2]
    if not hmac.compare_digest(sent.pop("x-amz-signature"), _sign(scope, encoded)):
        return False
    policy = json.loads(base64.b64decode(encoded))
    if datetime.now(UTC) >= datetime.fromisoformat(policy["expiration"]):
        return False
    sent["bucket"] = bucket
    conditions = policy["conditions"]
    return all(_is_met(condition, sent, size_bytes) for condition in conditions) and sent.keys() <= _named(conditions)


def _is_met(condition: Any, sent: dict[str, str], size_bytes: int) -> bool:
    if isinstance(condition, list) and condition[0] == "content-length-range":
        return bool(condition[1] <= size_bytes <= condition[2])
    operator, name, value = _of_field(condition)
    if operator == "eq":
        return sent.get(name) == value
    assert operator == "starts-with", f"S3 knows no {operator}"
    return sent.get(name, "").startswith(value)


def _of_field(condition: Any) -> tuple[str, str, str]:
    """Operator, field and value of a condition in either of its forms."""
    if isinstance(condition, dict):
        ((name, value),) = condition.items()
        return "eq", name, value
    return condition[0], condition[1].removeprefix("$"), condition[2]


def _named(conditions: list[Any]) -> set[str]:
    """The fields that a form may have."""
    return {_of_field(condition)[1] for condition in conditions if "content-length-range" not in condition}


def _sign(scope: str, text: str) -> str:
    key = f"AWS4{os.environ['AWS_SECRET_ACCESS_KEY']}".encode()
    for part in (*scope.split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()
