"""What the fast path sends is what botocore sends, byte by byte."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import botocore.auth
import pytest
import time_machine
from botocore.awsrequest import AWSResponse
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from chalicelib import keys
from tests.moto_gaps import aws_answer
from tests.unit.fast_path.clients import client_of

#: Each call has another one; and S3 is asked first only with bodies that are worth it (operations.MAX_BODY_BYTES).
NOT_COMPARED = frozenset({"amz-sdk-invocation-id", "expect"})
NOW = datetime(2026, 2, 28, 23, 59, 58, tzinfo=UTC)
TOKEN = "IQoJb3JpZ2luX2VjEJr//+=="


class Sent(NamedTuple):
    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Pair:
    """A client with the fast path and one without, which write down what they would send."""

    def __init__(self, service: str, **options: Any) -> None:
        self.sent: dict[bool, list[Sent]] = {True: [], False: []}
        self.clients = {fast: client_of(service, fast=fast, **options) for fast in (True, False)}
        for fast, client in self.clients.items():
            client.meta.events.register_first("before-send.*.*", self._listener(fast))

    def _listener(self, fast: bool) -> Any:
        def note(request: Any, **_: Any) -> AWSResponse:
            headers = {
                name.lower(): value.decode() if isinstance(value, bytes) else str(value)
                for name, value in request.headers.items()
                if name.lower() not in NOT_COMPARED
            }
            # Names of the features that a client has used, in any order; AWS counts them and no more.
            headers["user-agent"] = headers["user-agent"].partition(" m/")[0]
            body = request.body.read() if hasattr(request.body, "read") else request.body or b""
            self.sent[fast].append(Sent(request.method, request.url, headers, body))
            return aws_answer(200, b"{}" if "x-amz-target" in headers else b"<CopyObjectResult></CopyObjectResult>")

        return note

    def check(self, operation: str, **params: Any) -> Sent:
        self.sent = {True: [], False: []}
        for client in self.clients.values():
            getattr(client, operation)(**params)
        (fast,), (plain,) = self.sent[True], self.sent[False]
        assert fast == plain
        return fast


@pytest.fixture(autouse=True)
def frozen() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def pair_of(service: str, **options: Any) -> Pair:
    """The same one for the same options: making one takes longer than what it is for."""
    known = (service, *sorted(options.items()))
    if known not in _PAIRS:
        _PAIRS[known] = Pair(service, **options)
    return _PAIRS[known]


_PAIRS: dict[Any, Pair] = {}

TEXTS = st.text(max_size=30)
VALUES = st.recursive(
    st.one_of(
        st.builds(lambda text: {"S": text}, TEXTS),
        st.builds(lambda number: {"N": str(number)}, st.integers()),
        st.builds(lambda truth: {"BOOL": truth}, st.booleans()),
        st.just({"NULL": True}),
        st.builds(lambda texts: {"SS": texts}, st.lists(TEXTS, min_size=1, max_size=3)),
    ),
    lambda inner: st.one_of(
        st.builds(lambda values: {"L": values}, st.lists(inner, max_size=3)),
        st.builds(lambda values: {"M": values}, st.dictionaries(TEXTS, inner, max_size=3)),
    ),
    max_leaves=6,
)
ITEMS = st.dictionaries(st.text(min_size=1, max_size=10), VALUES, min_size=1, max_size=4)
DYNAMODB = [{}, {"token": TOKEN}, {"endpoint_url": "http://127.0.0.1:4566"}]
S3 = [
    {},
    {"token": TOKEN},
    {"addressing_style": "path"},
    {"endpoint_url": "http://127.0.0.1:4566", "addressing_style": "path"},
    {"endpoint_url": "https://storage.example:8443", "addressing_style": "virtual"},
]


@pytest.mark.parametrize("options", DYNAMODB, ids=str)
@settings(max_examples=25, deadline=None, phases=[Phase.generate])
@given(item=ITEMS, table=st.from_regex(r"[a-zA-Z0-9_.-]{3,20}", fullmatch=True))
def test_dynamodb(options: dict[str, Any], item: dict[str, Any], table: str) -> None:
    pair = pair_of("dynamodb", **options)
    key = {"TableName": table, "Key": item}
    pair.check("get_item", **key, ConsistentRead=True, ReturnConsumedCapacity="TOTAL")
    pair.check("put_item", TableName=table, Item=item, ConditionExpression="attribute_not_exists(#0)")
    pair.check("update_item", **key, UpdateExpression="SET #0 = :0", ExpressionAttributeValues={":0": {"S": "ü"}})
    pair.check("delete_item", **key)
    pair.check("query", TableName=table, KeyConditionExpression="#0 = :0", Limit=3, ScanIndexForward=False)
    pair.check("batch_get_item", RequestItems={table: {"Keys": [item], "ConsistentRead": True}})
    pair.check("transact_get_items", TransactItems=[{"Get": key}])
    put = {"Put": {"TableName": table, "Item": item}}
    pair.check("transact_write_items", TransactItems=[put, {"Delete": key}], ClientRequestToken="token-1")


NAMES = st.text(min_size=1, max_size=60).map(keys.clean_filename)
VERSIONS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@pytest.mark.parametrize("options", S3, ids=str)
@settings(max_examples=25, deadline=None, phases=[Phase.generate])
@given(name=NAMES, body=st.binary(max_size=200), version=VERSIONS, kind=st.sampled_from(["text/plain", "a/b; c=d"]))
def test_s3(options: dict[str, Any], name: str, body: bytes, version: str, kind: str) -> None:
    pair = pair_of("s3", **options)
    there = {"Bucket": "files-of-eu.example", "Key": f"org/{name}"}
    checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
    pair.check("put_object", **there, Body=body, ChecksumSHA256=checksum)
    pair.check("get_object", **there, ChecksumMode="ENABLED")
    pair.check("get_object", **there, ChecksumMode="ENABLED", VersionId=version)
    pair.check("get_object", **there, ChecksumMode="ENABLED", Range="bytes=7-", IfMatch='"abc-2"')
    pair.check("delete_object", **there)
    pair.check("delete_object", **there, VersionId=version)
    pair.check(
        "copy_object",
        **there,
        CopySource={"Bucket": "temp", "Key": f"org/{name}"},
        CopySourceIfMatch='"abc"',
        ContentType=kind,
        ContentDisposition="attachment; filename*=UTF-8''%C3%A4",
        MetadataDirective="REPLACE",
        ChecksumAlgorithm="SHA256",
    )


def test_temporary_credentials_are_signed() -> None:
    sent = pair_of("dynamodb", token=TOKEN).check("get_item", TableName="files", Key={"id": {"S": "1"}})
    assert sent.headers["x-amz-security-token"] == TOKEN
    assert "x-amz-security-token" in sent.headers["authorization"]
    sent = pair_of("s3", token=TOKEN).check("delete_object", Bucket="temp", Key="a")
    assert "x-amz-security-token" in sent.headers["authorization"]


def test_loop_of_functions_can_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "api")
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3fe1be46a994272793;Lineage=a:1|b")
    sent = pair_of("dynamodb").check("get_item", TableName="files", Key={"id": {"S": "1"}})
    assert sent.headers["x-amzn-trace-id"].startswith("Root=1-5759e988")


def test_credentials_are_asked_for_at_each_call() -> None:
    """Those of a role change while the client lives."""
    pair = Pair("dynamodb")
    key = {"TableName": "files", "Key": {"id": {"S": "1"}}}
    before = pair.check("get_item", **key).headers["authorization"]
    for client in pair.clients.values():
        client._request_signer._credentials.secret_key = "another"
    assert pair.check("get_item", **key).headers["authorization"] != before


OTHERS: list[tuple[str, str, dict[str, Any]]] = [
    ("dynamodb", "get_item", {"TableName": "files", "Key": {"id": {"B": b"bytes"}}}),
    ("dynamodb", "get_item", {"TableName": "arn:aws:dynamodb:eu-west-1:1:table/files", "Key": {"id": {"S": "1"}}}),
    ("dynamodb", "list_tables", {}),
    ("s3", "get_object", {"Bucket": "temp", "Key": "a"}),
    ("s3", "get_object", {"Bucket": "temp", "Key": "a", "ChecksumMode": "ENABLED", "PartNumber": 1}),
    ("s3", "put_object", {"Bucket": "temp", "Key": "a", "Body": b"x"}),
    ("s3", "put_object", {"Bucket": "temp", "Key": "a", "Body": bytes(1024 * 1024 + 1), "ChecksumSHA256": "eA=="}),
    ("s3", "copy_object", {"Bucket": "temp", "Key": "a", "CopySource": "temp/b", "ChecksumAlgorithm": "SHA256"}),
    ("s3", "head_object", {"Bucket": "temp", "Key": "a"}),
]


@pytest.mark.parametrize(("service", "operation", "params"), OTHERS, ids=lambda value: str(value)[:40])
def test_call_with_anything_else_is_botocores(service: str, operation: str, params: dict[str, Any]) -> None:
    client = client_of(service, fast=True)
    names = {name: client.meta.method_to_api_mapping[name] for name in (operation,)}
    assert client._fast_path.call(names[operation], params) is None
    pair_of(service).check(operation, **params)


def test_header_that_would_become_two_is_refused() -> None:
    with pytest.raises(Exception, match="Invalid header value"):
        client_of("s3", fast=True, endpoint_url="http://127.0.0.1:1").get_object(
            Bucket="temp", Key="a", ChecksumMode="ENABLED", Range="bytes=1-\r\nx-amz-acl: public-read"
        )


def test_signer_compared_with_is_version_4() -> None:
    """A botocore that signs in another way would make the comparison one of other things."""
    assert botocore.auth.AUTH_TYPE_MAPS["s3v4"] is botocore.auth.S3SigV4Auth
