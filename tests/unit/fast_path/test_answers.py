"""Whatever a server answers, a client with the fast path gives and raises what one without it does."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import ssl
import threading
import time
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.endpoint
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError, SSLError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chalicelib.platform.fast_path import open_fast_path
from chalicelib.platform.fast_path.connections import MAX_READ_AT_ONCE_BYTES
from infra.local.processes import HOST
from tests.unit.fast_path.clients import client_of
from tests.unit.fast_path.server import END, SILENCE, http, serving

pytestmark = pytest.mark.usefixtures("socket_enabled", "no_back_off")

ITEM = b'{"Item": {"id": {"S": "\xc3\xbc"}}}'
CRC = str(zlib.crc32(ITEM))
OK = http("200 OK", ITEM, x_amz_crc32=CRC, x_amzn_RequestId="R1")
ERROR = b'{"__type": "com.amazonaws.dynamodb.v20120810#%s", "message": "no"}'
REFUSED = http("400 Bad Request", ERROR % b"ConditionalCheckFailedException")
THROTTLED = http("400 Bad Request", ERROR % b"ThrottlingException")
BROKEN = http("500 Internal Server Error", ERROR % b"InternalServerError")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(ITEM), ITEM)
#: What a server answers to the requests that come, one after the other.
DYNAMODB: dict[str, list[bytes]] = {
    "plain": [OK],
    "without checksum": [http("200 OK", ITEM)],
    "nothing found": [http("200 OK", b"{}")],
    "bytes": [http("200 OK", b'{"Item": {"a": {"B": "aGVsbG8="}, "b": {"BS": ["aGVsbG8="]}}}')],
    "wrong checksum, then right": [http("200 OK", ITEM, x_amz_crc32="1"), OK],
    "wrong checksum": [http("200 OK", ITEM, x_amz_crc32="1")] * 2,
    "chunked": [CHUNKED],
    "until the end of the connection": [b"HTTP/1.1 200 OK\r\n\r\n" + ITEM],
    "asked to go on first": [b"HTTP/1.1 100 Continue\r\n\r\n" + OK],
    "HTTP/1.0": [OK.replace(b"HTTP/1.1", b"HTTP/1.0")],
    "closing": [OK.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)],
    "refused": [REFUSED],
    "throttled, then plain": [THROTTLED, OK],
    "throttled": [THROTTLED] * 2,
    "broken, then plain": [BROKEN, OK],
    "broken": [BROKEN] * 2,
    "broken without a word": [b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"] * 2,
    "no connection after the request": [END, END],
    "no connection once": [END, OK],
    "cut off": [OK[:-5], END],
    "cut off, then plain": [OK[:-5], OK],
    "not HTTP": [b"SSH-2.0-OpenSSH\r\n\r\n", b"SSH-2.0-OpenSSH\r\n\r\n"],
    "redirect": [http("301 Moved Permanently", b"{}", Location="http://127.0.0.1:1/")],
    "clock skew": [http("400 Bad Request", ERROR.replace(b"dynamodb", b"coral") % b"RequestTimeTooSkewed")] * 2,
    "signature refused": [http("400 Bad Request", ERROR % b"UnrecognizedClientException")],
}
COPIED = (
    b"<?xml version='1.0'?><CopyObjectResult><ETag>\"e\"</ETag><ChecksumSHA256>c</ChecksumSHA256></CopyObjectResult>"
)
XML = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>no</Message></Error>"
BODY = b"hello"
SHA256 = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
LONG = bytes(range(256)) * (MAX_READ_AT_ONCE_BYTES // 256 + 9)
SHA256_OF_LONG = base64.b64encode(hashlib.sha256(LONG).digest()).decode()
GET, PUT, COPY, DELETE = "get_object", "put_object", "copy_object", "delete_object"
FOUND = http("200 OK", BODY, ETag='"e"', x_amz_checksum_sha256=SHA256, x_amz_version_id="v", Content_Type="text/x")
LAST_MODIFIED = "Wed, 25 Nov 2026 12:00:00 GMT"
S3: dict[str, tuple[str, list[bytes]]] = {
    "read": (GET, [FOUND]),
    "read a part": (GET, [http("206 Partial Content", BODY, Content_Range="bytes 0-4/9", Last_Modified=LAST_MODIFIED)]),
    "read nothing": (GET, [http("200 OK", b"")]),
    "read much": (GET, [http("200 OK", LONG, ETag='"e"', x_amz_checksum_sha256=SHA256_OF_LONG)]),
    "read wrong bytes": (GET, [http("200 OK", BODY, x_amz_checksum_sha256=SHA256_OF_LONG)]),
    "read wrong bytes of many": (GET, [http("200 OK", LONG, x_amz_checksum_sha256=SHA256)]),
    "read a checksum of parts": (GET, [http("200 OK", BODY, x_amz_checksum_sha256=f"{SHA256}-2")]),
    "read what is cut off": (GET, [http("200 OK", LONG)[:-1], END]),
    "read metadata": (GET, [http("200 OK", BODY, x_amz_meta_a="1", Expires="never")]),
    "missing": (GET, [http("404 Not Found", XML % b"NoSuchKey")]),
    "changed": (GET, [http("412 Precondition Failed", XML % b"PreconditionFailed")]),
    "busy, then found": (GET, [http("503 Slow Down", XML % b"SlowDown"), FOUND]),
    "written": (PUT, [http("200 OK", b"", ETag='"e"', x_amz_checksum_sha256=SHA256)]),
    "asked to send": (PUT, [b"HTTP/1.1 100 Continue\r\n\r\n" + http("200 OK", b"", ETag='"e"')]),
    "not written": (PUT, [http("400 Bad Request", XML % b"BadDigest")]),
    "not written once": (PUT, [http("500 Internal Server Error", XML % b"InternalError"), http("200 OK", ETag='"e"')]),
    "copied": (COPY, [http("200 OK", COPIED, x_amz_version_id="v")]),
    "copied after a while": (COPY, [http("200 OK", COPIED.replace(b"?><", b"?>" + b" " * 999 + b"<"))]),
    "copied, but it can't be read": (COPY, [http("200 OK", b" " + COPIED)] * 2),
    "copied after an error in a success": (COPY, [http("200 OK", XML % b"InternalError"), http("200 OK", COPIED)]),
    "errors in successes": (COPY, [http("200 OK", XML % b"InternalError")] * 2),
    "deleted": (DELETE, [http("204 No Content", x_amz_version_id="v", x_amz_delete_marker="true")]),
    "deleted, without a length": (DELETE, [b"HTTP/1.1 204 No Content\r\nx-amz-version-id: v\r\n\r\n"]),
    "deletion refused": (DELETE, [http("403 Forbidden", XML % b"AccessDenied")]),
}
PARAMS: dict[str, dict[str, Any]] = {
    GET: {"ChecksumMode": "ENABLED"},
    PUT: {"Body": BODY, "ChecksumSHA256": SHA256},
    COPY: {"CopySource": {"Bucket": "temp", "Key": "b"}, "ChecksumAlgorithm": "SHA256"},
    DELETE: {},
}


@pytest.fixture
def no_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore waits up to seconds before it tries again."""

    class Time:
        sleep = staticmethod(lambda seconds: None)

        def __getattr__(self, name: str) -> Any:
            return getattr(time, name)

    monkeypatch.setattr(botocore.endpoint, "time", Time())


def outcome_of(service: str, operation: str, params: dict[str, Any], answers: list[bytes], *, fast: bool) -> Any:
    """What came of it, and how many requests that took."""
    with serving(*answers) as server:
        client = client_of(service, fast=fast, endpoint_url=server.url, addressing_style="path", read_timeout=2)
        try:
            found = getattr(client, operation)(**params)
            if "Body" in found:
                found["Body"] = found["Body"].read()
        except ClientError as error:
            found = type(error).__name__, error.response
        except Exception as error:
            found = type(error).__name__
        return found, len(server.requests)


def compare(service: str, operation: str, params: dict[str, Any], answers: list[bytes]) -> None:
    fast, plain = (outcome_of(service, operation, params, answers, fast=fast) for fast in (True, False))
    assert fast == plain


@pytest.mark.parametrize("name", DYNAMODB)
def test_dynamodb(name: str) -> None:
    compare("dynamodb", "get_item", {"TableName": "files", "Key": {"id": {"S": "1"}}}, DYNAMODB[name])


@pytest.mark.parametrize("name", S3)
def test_s3(name: str) -> None:
    operation, answers = S3[name]
    compare("s3", operation, {"Bucket": "files", "Key": "a/b", **PARAMS[operation]}, answers)


def get(client: Any) -> Any:
    return client.get_item(TableName="files", Key={"id": {"S": "1"}})


def test_connection_is_used_again() -> None:
    with serving(*[OK] * 5) as server:
        client = client_of("dynamodb", fast=True, endpoint_url=server.url)
        for _ in range(5):
            get(client)
        assert (len(server.requests), server.connections) == (5, 1)


def test_connection_that_the_server_has_closed_is_not_used_again() -> None:
    """Without an attempt that fails."""
    with serving(OK.replace(b"Content-Length", b"content-length"), END, OK) as server:
        client = client_of("dynamodb", fast=True, endpoint_url=server.url, attempts=1)
        get(client)
        client._fast_path._connections._kept[_origin(client)][0]._socket.shutdown(2)
        server._answers.remove(END)
        get(client)
        assert server.connections == 2


def _origin(client: Any) -> Any:
    [origin] = client._fast_path._connections._kept
    return origin


def test_silence_ends_with_the_time_limit_of_the_client() -> None:
    with serving(SILENCE) as server:
        client = client_of("dynamodb", fast=True, endpoint_url=server.url, attempts=1, read_timeout=0.05)
        with pytest.raises(ReadTimeoutError):
            get(client)
        assert len(server.requests) == 1


def test_silence_in_a_long_body_is_told_by_reading_it() -> None:
    with serving(http("200 OK", LONG)[:-9] + SILENCE[:0]) as server:
        client = client_of(
            "s3", fast=True, endpoint_url=server.url, addressing_style="path", attempts=1, read_timeout=0.2
        )
        body = client.get_object(Bucket="files", Key="a", ChecksumMode="ENABLED")["Body"]
        with pytest.raises(ReadTimeoutError):
            body.read()


def test_body_that_was_not_read_leaves_no_connection_to_others() -> None:
    with serving(http("200 OK", LONG), http("200 OK", BODY)) as server:
        client = client_of("s3", fast=True, endpoint_url=server.url, addressing_style="path")
        there = {"Bucket": "files", "Key": "a", "ChecksumMode": "ENABLED"}
        client.get_object(**there)["Body"].close()
        assert client.get_object(**there)["Body"].read() == BODY
        assert server.connections == 2


def test_threads_do_not_read_each_others_answers() -> None:
    answers = [http("200 OK", b'{"Item": {"id": {"S": "%d"}}}' % number) for number in range(40)]
    found: list[str] = []
    with serving(*answers) as server:
        client = client_of("dynamodb", fast=True, endpoint_url=server.url)

        def ask() -> None:
            for _ in range(10):
                found.append(get(client)["Item"]["id"]["S"])

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(found, key=int) == [str(number) for number in range(40)]


def test_success_is_told_to_who_counts_successes() -> None:
    """botocore's retries stop when too much has failed; each success makes room for more."""
    with serving(BROKEN, OK, OK, OK) as server:
        client = client_of("dynamodb", fast=True, endpoint_url=server.url)
        heard: list[int] = []

        def note(http_response: Any, **_: Any) -> None:
            heard.append(http_response.status_code)

        client.meta.events.register("after-call", note)
        for _ in range(3):
            get(client)
        assert heard == [200] * 3


def test_head_that_ends_early_is_no_answer() -> None:
    """http.client takes it for an answer without headers and without a body, so for an absent item."""
    with serving(b"HTTP/1.1 200 OK\r\nContent-", OK) as server:
        assert "Item" in get(client_of("dynamodb", fast=True, endpoint_url=server.url))


class Authority:
    """Signs certificates; ``file`` is what a client is given to trust it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self.file = folder / "authority.pem"
        self.file.write_bytes(self._signed(self._name, self._key, None).public_bytes(Encoding.PEM))

    def context(self, address: str) -> ssl.SSLContext:
        """Of a server with this address."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(x509.Name([]), key, address)
        chain = self._folder / f"{address}.pem"
        plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        chain.write_bytes(plain + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def _signed(self, subject: x509.Name, key: Any, address: str | None) -> x509.Certificate:
        now = datetime.now(UTC)
        made = x509.CertificateBuilder().subject_name(subject).issuer_name(self._name).public_key(key.public_key())
        made = made.serial_number(x509.random_serial_number())
        made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        made = made.add_extension(x509.BasicConstraints(ca=address is None, path_length=None), critical=True)
        if address is not None:
            names = [x509.IPAddress(ipaddress.ip_address(address))]
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self._key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("fast", [True, False])
def test_tls_to_a_server_of_this_name(authority: Authority, fast: bool) -> None:
    with serving(OK, OK, tls=authority.context(HOST)) as server:
        client = client_of("dynamodb", fast=fast, endpoint_url=server.url, verify=str(authority.file))
        assert get(client) == get(client)
        assert server.connections == 1


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_tls_to_anybody_else_fails_before_anything_is_sent(authority: Authority, fast: bool, wrong: str) -> None:
    address = "127.0.0.2" if wrong == "name" else HOST
    trusted = {"verify": str(authority.file)} if wrong == "name" else {}
    with serving(OK, tls=authority.context(address)) as server:
        client = client_of("dynamodb", fast=fast, endpoint_url=server.url, attempts=1, **trusted)
        with pytest.raises(SSLError):
            get(client)
        assert server.requests == []


@pytest.mark.parametrize("options", [{"verify": False}, {"proxies": {"http": "http://127.0.0.1:1"}}], ids=str)
def test_client_that_is_set_up_otherwise_is_left_alone(options: dict[str, Any]) -> None:
    config = Config(retries={"mode": "standard"}, proxies=options.get("proxies"))
    verify = options.get("verify")
    client = boto3.client(
        "dynamodb", region_name="eu-west-1", endpoint_url="http://10.0.0.1", config=config, verify=verify
    )
    open_fast_path(client)
    assert not hasattr(client, "_fast_path")
