"""What API Gateway answers by itself, when a request never reaches our code: in the shape of every other error.

The answers travel inside the API's definition, so that they are part of each deployment of the API. Knows API Gateway's
response types; must not know the routes.
"""

from __future__ import annotations

import json
from typing import Any

from chalicelib.kernel.config import MAX_UPLOAD_BYTES_ON_AWS
from chalicelib.kernel.errors import (
    BadInput,
    NotSignedIn,
    RouteNotFound,
    StrongroomError,
    TooLarge,
    TooManyRequests,
    UnsupportedMediaType,
)

# Response type of API Gateway -> status (None: the type's own), code and sentence. The gateway cannot tell an unknown
# path from a wrong method, and says "missing authentication token", or complains of the Authorization header, for both.
_NOTHING_HERE = (RouteNotFound.status, RouteNotFound.code, RouteNotFound.sentence)
_FORBIDDEN = (403, "forbidden", "This is not allowed.")
_ANSWERS: dict[str, tuple[int | None, str, str]] = {
    "MISSING_AUTHENTICATION_TOKEN": _NOTHING_HERE,
    "INVALID_SIGNATURE": _NOTHING_HERE,
    "RESOURCE_NOT_FOUND": _NOTHING_HERE,
    "BAD_REQUEST_BODY": (400, BadInput.code, "The body of the request is not valid."),
    "BAD_REQUEST_PARAMETERS": (400, BadInput.code, "A parameter of the request is not valid."),
    "UNAUTHORIZED": (401, NotSignedIn.code, "Sign in first."),
    "ACCESS_DENIED": _FORBIDDEN,
    "WAF_FILTERED": _FORBIDDEN,
    "REQUEST_TOO_LARGE": (
        413,
        TooLarge.code,
        f"The request is too large. A file sent by form may have at most {MAX_UPLOAD_BYTES_ON_AWS} bytes; for more, "
        "POST JSON with filename and size to /files and send the bytes straight to storage as its answer says.",
    ),
    "UNSUPPORTED_MEDIA_TYPE": (415, UnsupportedMediaType.code, "The content type of the request is not supported."),
    "THROTTLED": (429, TooManyRequests.code, "Too many requests at once. Try again in a second."),
    "QUOTA_EXCEEDED": (429, TooManyRequests.code, "Too many requests. Try again later."),
    "DEFAULT_4XX": (None, BadInput.code, "The request cannot be served."),
    "DEFAULT_5XX": (None, StrongroomError.code, "Something went wrong on our side. Try again."),
}
_RETRY_AFTER_SECONDS = {"THROTTLED": 1, "QUOTA_EXCEEDED": 60}
# No Content-Security-Policy: its words are in quotes, and API Gateway's own quotes know no escape.
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
}

# Without these a page of another origin could not read why it was refused. The gateway can't compare a request's origin
# with a list, so the first configured one has to do.
_FIRST_ORIGIN = {"Fn::Sub": ["'${Origin}'", {"Origin": {"Fn::Select": [0, {"Ref": "CorsOrigins"}]}}]}
_CORS_HEADERS: dict[str, Any] = {
    "Access-Control-Allow-Origin": _FIRST_ORIGIN,
    "Access-Control-Allow-Credentials": "'true'",
    "Access-Control-Expose-Headers": "'Retry-After'",
}

DEFINITION_KEY = "x-amazon-apigateway-gateway-responses"


def gateway_codes() -> set[str]:
    """The codes of the gateway's own answers."""
    return {code for _, code, _ in _ANSWERS.values()}


def gateway_responses() -> dict[str, dict[str, Any]]:
    """Response type -> its answer, as the definition of an API in our template holds it."""
    return {kind: _answer(kind, *answer) for kind, answer in _ANSWERS.items()}


def _answer(kind: str, status: int | None, code: str, sentence: str) -> dict[str, Any]:
    headers = dict(_HEADERS)
    if kind in _RETRY_AFTER_SECONDS:
        headers["Retry-After"] = str(_RETRY_AFTER_SECONDS[kind])
    body = {"error": sentence, "message": sentence, "code": code, "request_id": "$context.requestId"}
    values: dict[str, Any] = {name: f"'{value}'" for name, value in headers.items()}
    for name, value in _CORS_HEADERS.items():
        values[name] = {"Fn::If": ["HasCors", value, {"Ref": "AWS::NoValue"}]}
    answer: dict[str, Any] = {
        "responseParameters": {f"gatewayresponse.header.{name}": value for name, value in values.items()},
        "responseTemplates": {"application/json": json.dumps(body)},
    }
    if status is not None:
        answer["statusCode"] = str(status)
    return answer


def ensure_gateway_responses(apigateway: Any, api_id: str, stage_name: str) -> list[str]:
    """See that the API really answers so, and set what is missing. Returns the types that had to be set.

    AWS takes the answers with the definition, and then nothing is done here. An API Gateway that leaves that part of a
    definition aside takes them one by one; they hold from a new deployment of the API on.
    """
    found = {item["responseType"]: item for item in apigateway.get_gateway_responses(restApiId=api_id)["items"]}
    missing = {
        kind: answer
        for kind, answer in gateway_responses().items()
        if found.get(kind, {}).get("responseTemplates") != answer["responseTemplates"]
    }
    for kind, answer in missing.items():
        # What depends on the template's parameters is CloudFormation's to put in.
        plain = {name: value for name, value in answer["responseParameters"].items() if isinstance(value, str)}
        apigateway.put_gateway_response(restApiId=api_id, responseType=kind, **{**answer, "responseParameters": plain})
    if missing:
        apigateway.create_deployment(restApiId=api_id, stageName=stage_name, description="error answers")
    return sorted(missing)
