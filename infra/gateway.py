"""What API Gateway answers by itself, when a request never reaches our code: in the shape of every other error.

The answers travel inside the API's definition, so that they are part of each deployment of the API. Knows API Gateway's
response types; must not know the routes.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
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


def definition_extras() -> dict[str, Any]:
    """What the API's definition holds besides Chalice's: the gateway's own answers, and whether its address answers."""
    disabled = {"Fn::If": ["HasNoDefaultEndpoint", True, False]}
    return {
        DEFINITION_KEY: gateway_responses(),
        "x-amazon-apigateway-endpoint-configuration": {"disableExecuteApiEndpoint": disabled},
    }


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


def with_noted_parameters(template: dict[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
    """The template with a hash, in the API's definition, of the parameters that the definition depends on.

    SAM names the API's deployment by a hash of the definition as it is written, with `Ref` and not with what it stands
    for. So a changed parameter alone would change the API and never be deployed to its stage.

    :param values: what each parameter will be.
    """
    noted = copy.deepcopy(template)
    definition: dict[str, Any] = noted["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    used = sorted(parameters_of(template, definition))
    digest = hashlib.sha256(json.dumps({name: values[name] for name in used}).encode()).hexdigest()
    definition["info"]["description"] = f"Strongroom. Parameters: {digest[:16]}"
    return noted


def parameters_of(template: Mapping[str, Any], node: Any) -> set[str]:
    """The names of the parameters that a part of the template depends on, by reference or by condition."""
    conditions: Mapping[str, Any] = template.get("Conditions", {})
    found: set[str] = set()
    for name in _referred(node):
        if name in conditions:
            found |= parameters_of(template, conditions[name])
        elif name in template["Parameters"]:
            found.add(name)
    return found


def _referred(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for item in node:
            yield from _referred(item)
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("Ref", "Condition") and isinstance(value, str):
                yield value
            elif key == "Fn::If":
                yield value[0]
            elif key == "Fn::Sub":
                yield from re.findall(r"\$\{(\w+)", value if isinstance(value, str) else value[0])
            yield from _referred(value)


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
