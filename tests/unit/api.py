"""Speaks HTTP to the application in this process, in the two ways in which requests reach it.

``local`` goes through the gateway of `chalice local`; ``gateway`` hands over the event that API Gateway makes, with
base64 for what the API calls binary, headers of several values and an address of the client's.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from chalice.app import CaseInsensitiveMapping
from chalice.local import LambdaContext, RouteMatcher
from chalice.test import Client

import app as application
from chalicelib.kernel.caller import Caller

Transport = Literal["local", "gateway"]
ADDRESS = "203.0.113.7"
HOST = "api.example.com"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: CaseInsensitiveMapping
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cookie(self) -> str:
        """The whole Set-Cookie header."""
        return str(self.headers["set-cookie"])

    @property
    def token(self) -> str:
        return self.cookie.partition("=")[2].partition(";")[0]


@dataclass(frozen=True)
class Session:
    """A signed-in user."""

    username: str
    password: str
    token: str
    caller: Caller

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Api:
    def __init__(self, client: Client, secrets: list[str]) -> None:
        """:param secrets: where every token that is given out is noted; no log may show one."""
        self._client = client
        self._secrets = secrets
        self.transport: Transport = "local"
        #: The client's address, as a gateway sees it. `chalice local` always says 127.0.0.1.
        self.address = ADDRESS

    def request(
        self,
        method: str,
        path: str,
        *,
        session: Session | None = None,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        json_body: Any = None,
    ) -> Answer:
        sent = {"Host": HOST, **(session.headers if session else {}), **(headers or {})}
        if json_body is not None:
            body = json.dumps(json_body).encode()
            sent.setdefault("Content-Type", "application/json")
        call = self._local if self.transport == "local" else self._gateway
        status, answered, answer_body = call(method, path, sent, body)
        answer = Answer(status, CaseInsensitiveMapping(answered), answer_body)
        if "set-cookie" in answer.headers and answer.token:
            self._secrets.append(answer.token)
        if b'"key":"sr_' in answer.body:
            self._secrets.append(answer.json["key"])
        if b'"token":"inv_' in answer.body:
            self._secrets.append(answer.json["token"])
        self._secrets += _secrets_of(answer_body)
        return answer

    def get(self, path: str, session: Session | None = None, **options: Any) -> Answer:
        return self.request("GET", path, session=session, **options)

    def post(self, path: str, session: Session | None = None, **options: Any) -> Answer:
        return self.request("POST", path, session=session, **options)

    def delete(self, path: str, session: Session | None = None, **options: Any) -> Answer:
        return self.request("DELETE", path, session=session, **options)

    def login(self, username: str, password: str, **options: Any) -> Answer:
        return self.post("/auth/login", json_body={"username": username, "password": password}, **options)

    def login_cookies(self, username: str, password: str, headers: dict[str, str]) -> list[str]:
        """Every Set-Cookie of a login through the gateway."""
        sent = {"Host": HOST, "Content-Type": "application/json", **headers}
        body = json.dumps({"username": username, "password": password}).encode()
        response = application.app(
            self.gateway_event("POST", "/auth/login", sent, body), LambdaContext("APIHandler", 1024)
        )
        cookies: list[str] = response["multiValueHeaders"]["Set-Cookie"]
        self._secrets += [cookie.partition("=")[2].partition(";")[0] for cookie in cookies]
        return cookies

    def upload(
        self,
        session: Session,
        body: bytes = b"hello, world\n",
        filename: str = "hello.txt",
        declared_type: str = "text/plain",
        **options: Any,
    ) -> Answer:
        content_type, form = multipart_form([("file", filename, declared_type, body)])
        headers = {"Content-Type": content_type, **options.pop("headers", {})}
        return self.post("/files", session, headers=headers, body=form, **options)

    def _local(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, Any], bytes]:
        response = self._client.http.request(method, path, headers=headers, body=body)
        return response.status_code, _flat(response.headers), response.body

    def _gateway(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, Any], bytes]:
        event = self.gateway_event(method, path, headers, body)
        response = application.app(event, LambdaContext("APIHandler", 1024))
        text = response["body"]
        raw = base64.b64decode(text) if response.get("isBase64Encoded") else text.encode()
        return response["statusCode"], _flat({**response["headers"], **response["multiValueHeaders"]}), raw

    def gateway_event(self, method: str, path: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        parts = urlsplit(path)
        match = RouteMatcher(list(application.app.routes)).match_route(parts.path)
        content_type = CaseInsensitiveMapping(headers).get("content-type", "").partition(";")[0].strip().lower()
        is_binary = content_type in application.app.api.binary_types
        text = (base64.b64encode(body).decode() if is_binary else body.decode("utf-8", "replace")) if body else None
        return {
            "resource": match.route,
            "path": parts.path,
            "httpMethod": method,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": parse_qs(parts.query, keep_blank_values=True) or None,
            "pathParameters": match.captured,
            "stageVariables": None,
            "requestContext": {
                "resourcePath": match.route,
                "httpMethod": method,
                "path": f"/api{parts.path}",
                "stage": "api",
                "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
                "identity": {"sourceIp": self.address, "userAgent": "test"},
            },
            "body": text,
            "isBase64Encoded": is_binary and bool(body),
        }


#: What an answer may show once, and no log ever.
SECRET_FIELDS = ("token", "challenge", "secret", "uri", "recovery_codes")


def _secrets_of(body: bytes) -> list[str]:
    try:
        told = json.loads(body)
    except ValueError:
        return []
    found = [told.get(name) for name in SECRET_FIELDS] if isinstance(told, dict) else []
    return [text for one in found for text in (one if isinstance(one, list) else [one]) if isinstance(text, str)]


def _flat(headers: dict[str, Any]) -> dict[str, Any]:
    return {name: value[0] if isinstance(value, list) and value else value for name, value in headers.items()}


BOUNDARY = "----strongroomBoundary7MA4YWxk"


def multipart_form(parts: list[tuple[str, str | None, str | None, bytes]]) -> tuple[str, bytes]:
    """Content type and body of a form, written as browsers do (WHATWG HTML, multipart/form-data).

    :param parts: (name, filename or None for a plain field, content type, bytes)
    """
    body = bytearray()
    for name, filename, content_type, data in parts:
        disposition = f'form-data; name="{_escape(name)}"'
        if filename is not None:
            disposition += f'; filename="{_escape(filename)}"'
        body += f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n".encode()
        if content_type is not None:
            body += f"Content-Type: {content_type}\r\n".encode()
        body += b"\r\n" + data + b"\r\n"
    body += f"--{BOUNDARY}--\r\n".encode()
    return f"multipart/form-data; boundary={BOUNDARY}", bytes(body)


def _escape(text: str) -> str:
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
