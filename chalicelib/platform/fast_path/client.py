"""Puts the fast path before botocore in a client of DynamoDB or S3: each call is tried here first."""

import json
import ssl
import time
import uuid
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse, HeadersDict
from botocore.endpoint import convert_to_response_dict
from botocore.handlers import add_recursion_detection_header
from botocore.httpchecksum import handle_checksum_body, resolve_response_checksum_algorithms
from botocore.httpsession import get_cert_path
from botocore.parsers import create_parser

from chalicelib.platform.fast_path.connections import Connections, Origin
from chalicelib.platform.fast_path.handover import Handover, Outcome
from chalicelib.platform.fast_path.operations import Form, dynamodb_form, s3_form
from chalicelib.platform.fast_path.signing import Credentials, Signer

_FORMS: Mapping[str, Callable[[str, Mapping[str, Any]], Form | None]] = {"dynamodb": dynamodb_form, "s3": s3_form}
_AUTH_TYPES = ("v4", "s3v4")


class _Place(NamedTuple):
    """Where a request goes: botocore's endpoint of an operation and a bucket, and who has to sign for it."""

    url: str
    host: str
    path: str
    origin: Origin
    signer: Signer


def open_fast_path(client: Any) -> None:
    """Try the hot operations of this client on the fast path first, from now on.

    Nothing changes for a client that is set up in a way that the fast path does not know: with a proxy, with
    certificates of its own or none, with another signature, without retries of the standard kind.
    """
    if isinstance(client, _Client) or not _knows(client):
        return
    client._fast_path = FastPath(client)
    client.__class__ = type(type(client).__name__, (_Client, type(client)), {})


def _knows(client: Any) -> bool:
    config, session = client.meta.config, client._endpoint.http_session
    tls_is_plain = session._verify is not False and session._cert_file is None
    is_standard = (config.retries or {}).get("mode") == "standard"
    is_signed = client._request_signer.signature_version in _AUTH_TYPES
    plain = not config.proxies and not session._proxy_config.proxy_url_for(client.meta.endpoint_url)
    return client.meta.service_model.service_name in _FORMS and tls_is_plain and is_standard and is_signed and plain


class _Client:
    """In front of a client's own class."""

    _fast_path: "FastPath"

    def _make_api_call(self, operation_name: str, api_params: Mapping[str, Any]) -> Any:
        own: Any = super()
        outcome = self._fast_path.call(operation_name, api_params)
        if outcome is None:
            return own._make_api_call(operation_name, api_params)
        if isinstance(outcome, dict):
            return outcome
        with self._fast_path.handover.first_outcome(outcome):
            return own._make_api_call(operation_name, api_params)


class FastPath:
    """The fast path of one client. Safe to share between threads, as a client is."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._service = client.meta.service_model.service_name
        self._event_name = client.meta.service_model.service_id.hyphenize()
        self._form = _FORMS[self._service]
        self._places: dict[tuple[str, str | None, str | None], _Place | None] = {}
        self._user_agent = client._user_agent_creator.to_string()
        config = client.meta.config
        # As botocore's standard retries announce them.
        self._attempts = f"attempt=1; max={config.retries['total_max_attempts']}"
        self._connections = Connections(
            config.connect_timeout, config.read_timeout, config.max_pool_connections, self._tls
        )
        self._parser = create_parser(client.meta.service_model.resolved_protocol) if self._service == "s3" else None
        self.handover = Handover(client._endpoint)

    def _tls(self) -> ssl.SSLContext:
        # The authorities that botocore would take.
        return _tls_context(get_cert_path(self._client._endpoint.http_session._verify))

    def call(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any] | Outcome | None:
        """:returns: the parsed answer of a plain success; the outcome of the attempt for botocore; None when no attempt
        was made, and all of the call is botocore's.
        """
        form = self._form(operation, params)
        if form is None:
            return None
        model = self._client.meta.service_model.operation_model(operation)
        signing = self._client._request_signer._credentials
        if signing is None:
            return None
        # Of a role, new ones are fetched here shortly before the old ones expire.
        frozen = signing.get_frozen_credentials()
        place = self._place(model, form, params, getattr(frozen, "account_id", None))
        if place is None:
            return None
        credentials = Credentials(frozen.access_key, frozen.secret_key, frozen.token)
        request = self._request(form, place, credentials, model.has_streaming_output)
        try:
            response = self.attempt(request, model, place)
        except Exception as error:
            return error
        try:
            answer = self._parsed(operation, model, params, response)
        except Exception:
            # botocore will say what is wrong with it.
            answer = None
        if answer is None:
            # Such as a bucket that is in another region: botocore finds it, and is asked for it again.
            self._places.clear()
            return response
        context: dict[str, Any] = {"client_config": self._client.meta.config}
        # botocore's retries count successes, too.
        self._client.meta.events.emit(
            f"after-call.{self._event_name}.{operation}",
            http_response=response,
            parsed=answer,
            model=model,
            context=context,
        )
        return answer

    def attempt(self, request: Any, model: Any, place: _Place) -> AWSResponse:
        """Send it once. Raises what botocore's session raises, or who listens to what is sent."""
        event = f"before-send.{self._event_name}.{model.name}"
        for _, given in self._client.meta.events.emit(event, request=request):
            if given is not None:
                return given  # type: ignore[no-any-return]
        lines = [
            f"{request.method} {_target(request.url)} HTTP/1.1",
            f"Host: {place.host}",
            "Accept-Encoding: identity",
        ]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        data = "\r\n".join([*lines, "", ""]).encode("latin-1") + bytes(request.body)
        head, body = self._connections.exchange(
            place.origin, request.method, data, request.url, stream=request.stream_output
        )
        return AWSResponse(request.url, head.status, head.headers, body)  # type: ignore[arg-type]

    def _request(self, form: Form, place: _Place, credentials: Credentials, stream_output: bool) -> Any:
        timestamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {**form.headers, "X-Amz-Date": timestamp}
        if credentials.token:
            headers["X-Amz-Security-Token"] = credentials.token
        if form.bucket is not None:
            headers["X-Amz-Content-SHA256"] = form.payload_sha256
        signed = {name.lower(): value for name, value in headers.items()}
        signed["host"] = place.host
        path = place.path + form.path
        headers["Authorization"] = place.signer.authorization(
            credentials, form.method, path, form.query, signed, form.payload_sha256, timestamp
        )
        headers["User-Agent"] = self._user_agent
        headers["amz-sdk-invocation-id"] = str(uuid.uuid4())
        headers["amz-sdk-request"] = self._attempts
        if form.body or form.method != "GET":
            headers["Content-Length"] = str(len(form.body))
        # By this AWS notices functions that call themselves in a circle.
        add_recursion_detection_header({"headers": headers})
        query = f"?{form.query}" if form.query else ""
        url = f"{place.url}{form.path}{query}"
        prepared: Any = AWSPreparedRequest
        return prepared(form.method, url, HeadersDict(headers), form.body, stream_output)

    def _place(self, model: Any, form: Form, params: Mapping[str, Any], account_id: str | None) -> _Place | None:
        known = (model.name, form.bucket, account_id)
        if known not in self._places:
            self._places[known] = self._find_place(model, form, params)
        return self._places[known]

    def _find_place(self, model: Any, form: Form, params: Mapping[str, Any]) -> _Place | None:
        """None where botocore's endpoint is none of the plain kind."""
        client = self._client
        context: dict[str, Any] = {
            "client_region": client.meta.region_name,
            "client_config": client.meta.config,
            "has_streaming_input": model.has_streaming_input,
            "auth_type": model.resolved_auth_type,
        }
        url, headers, _ = client._resolve_endpoint_ruleset(model, dict(params), context)
        parts = urlsplit(url)
        signing = context.get("signing", {})
        if headers or parts.query or context["auth_type"] not in (None, *_AUTH_TYPES) or parts.hostname is None:
            return None
        tls = parts.scheme == "https"
        path = parts.path.rstrip("/")
        return _Place(
            url=f"{parts.scheme}://{parts.netloc}{path}",
            host=parts.netloc,
            path=path,
            origin=Origin(parts.hostname, parts.port or (443 if tls else 80), tls),
            signer=Signer(
                signing.get("signing_name", client.meta.service_model.signing_name),
                signing.get("region", client.meta.region_name),
            ),
        )

    def _parsed(self, operation: str, model: Any, params: Mapping[str, Any], response: Any) -> dict[str, Any] | None:
        """What botocore would have made of a plain success; None of any other answer."""
        if self._parser is None:
            return _parsed_dynamodb(response)
        if response.status_code not in (200, 204, 206):
            return None
        context: dict[str, Any] = {}
        resolve_response_checksum_algorithms({"context": context}, model, params)
        told = convert_to_response_dict(response, model)
        handle_checksum_body(response, told, context, model)
        customized: dict[str, Any] = {}
        self._client.meta.events.emit(
            f"before-parse.{self._event_name}.{operation}",
            operation_model=model,
            response_dict=told,
            customized_response_dict=customized,
        )
        if told["status_code"] != response.status_code:
            # S3 begins to answer a copy before it knows whether it will succeed: an error in what began as a success.
            return None
        parsed: dict[str, Any] = self._parser.parse(told, model.output_shape)
        parsed.update(customized)
        parsed["ResponseMetadata"]["RetryAttempts"] = 0
        return parsed


def _parsed_dynamodb(response: AWSResponse) -> dict[str, Any] | None:
    if response.status_code != 200:
        return None
    body, headers = response.content, response.headers
    checksum = headers.get("x-amz-crc32")
    if checksum is not None and checksum != str(zlib.crc32(body)):
        return None
    # Bytes come in Base64, which botocore decodes.
    if b'"B"' in body or b'"BS"' in body:
        return None
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    told = {name.lower(): value for name, value in headers.items()}
    request_id = {"RequestId": told["x-amzn-requestid"]} if "x-amzn-requestid" in told else {}
    answer["ResponseMetadata"] = {**request_id, "HTTPStatusCode": 200, "HTTPHeaders": told, "RetryAttempts": 0}
    return answer


def _target(url: str) -> str:
    """What stands in the first line of a request."""
    _, _, rest = url.partition("://")
    _, slash, target = rest.partition("/")
    return f"/{target}" if slash else "/"


@cache
def _tls_context(authorities: str) -> ssl.SSLContext:
    """Certificates and names are checked. Reading the authorities takes longer than a call, so it is done once."""
    context = ssl.create_default_context(cafile=authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
