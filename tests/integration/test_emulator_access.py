"""Who may use the emulator of `make up`: nobody without a key, and each key for no more than its owner's work."""

from __future__ import annotations

import base64
import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from infra.local import emulator
from infra.local.identities import ROLES_OF_PARTS, keys_of_parts
from infra.local.keys import Key, KeyFile
from tests.integration.conftest import Machine, Tenant

FOREIGN = "http://127.0.0.1:9"
DENIED = {"AccessDenied", "AccessDeniedException", "403"}


def function_of_an_attacker() -> str:
    """The body that makes a function run what the sender likes."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return 'ran'\n")
    return json.dumps(
        {
            "FunctionName": "ran",
            "Runtime": "python3.11",
            "Handler": "index.handler",
            "Role": "arn:aws:iam::000000000000:role/x",
            "Code": {"ZipFile": base64.b64encode(code.getvalue()).decode()},
        }
    )


@pytest.fixture(
    params=["", "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test/20260101/us-east-1/lambda/aws4_request"]
)
def query(request: pytest.FixtureRequest) -> str:
    """Unsigned, and with a key that MiniStack takes for the root's without looking at the signature."""
    return str(request.param)


@pytest.mark.parametrize("headers", [{}, {"Origin": FOREIGN}], ids=["program", "page"])
def test_request_without_a_key_makes_no_function(machine: Machine, headers: dict[str, str], query: str) -> None:
    url = f"{emulator.endpoint(machine.aws_port)}/2015-03-31/functions"
    answer = httpx.post(
        url + query, content=function_of_an_attacker(), headers={"Content-Type": "text/plain", **headers}
    )
    assert answer.status_code == 403, answer.text
    assert "access-control-allow-origin" not in answer.headers
    assert machine.client("lambda").list_functions()["Functions"] == []


@pytest.mark.parametrize("path", ["/", "/{TEMP_BUCKET}", "/{PERMANENT_BUCKET}"])
def test_request_without_a_key_lists_nothing(machine: Machine, path: str, query: str) -> None:
    url = emulator.endpoint(machine.aws_port) + path.format_map(machine.environment)
    assert httpx.get(url + query).status_code == 403


def test_request_without_a_key_resets_nothing(machine: Machine, tenant: Tenant, query: str) -> None:
    url = f"{emulator.endpoint(machine.aws_port)}/_ministack/reset"
    for headers in ({}, {"Origin": FOREIGN}, {"Sec-Fetch-Site": "cross-site"}):
        assert httpx.post(url + query, headers=headers).status_code == 403
    assert tenant.client.get("/auth/me").status_code == 200


def test_form_without_a_signature_puts_nothing_into_the_bucket(machine: Machine) -> None:
    url = f"{emulator.endpoint(machine.aws_port)}/{machine.environment['TEMP_BUCKET']}"
    fields = {"key": "x/unsigned"}
    assert httpx.post(url, data=fields, files={"file": b"x"}).status_code == 403
    guessed = {**fields, "policy": "e30=", "x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-date": "20260101T000000Z",
               "x-amz-credential": "test/20260101/us-east-1/s3/aws4_request", "x-amz-signature": "0" * 64}  # fmt: skip
    assert httpx.post(url, data=guessed, files={"file": b"x"}).status_code in (400, 403)
    listed = machine.client("s3").list_objects_v2(Bucket=machine.environment["TEMP_BUCKET"], Prefix="x/")
    assert listed["KeyCount"] == 0


def test_page_whose_name_leads_to_this_machine_is_refused(machine: Machine) -> None:
    health = f"{emulator.endpoint(machine.aws_port)}/_ministack/health"
    assert httpx.get(health).status_code == 200
    assert httpx.get(health, headers={"Host": f"evil.example:{machine.aws_port}"}).status_code == 403


def test_wrong_secret_for_a_known_key_is_refused(machine: Machine) -> None:
    for key in machine.parts.values():
        client = client_of(machine, Key(key.access_key_id, "guessed"))
        with pytest.raises(ClientError, match="Signature"):
            client("dynamodb").list_tables()


def client_of(machine: Machine, key: Key) -> Callable[[str], Any]:
    return lambda service: boto3.client(  # type: ignore[call-overload]
        service,
        endpoint_url=emulator.endpoint(machine.aws_port),
        region_name=emulator.REGION,
        aws_access_key_id=key.access_key_id,
        aws_secret_access_key=key.secret_access_key,
    )


Probe = Callable[[Callable[[str], Any], dict[str, str]], Any]

#: What neither part may do, whatever else it does.
NOBODY: dict[str, Probe] = {
    "delete a table": lambda c, e: c("dynamodb").delete_table(TableName=f"{e['TABLE_PREFIX']}-files"),
    "scan users": lambda c, e: c("dynamodb").scan(TableName=f"{e['TABLE_PREFIX']}-users"),
    "read another bucket": lambda c, e: c("s3").get_object(Bucket="another", Key="x"),
    "list buckets": lambda c, e: c("s3").list_buckets(),
    "delete a bucket": lambda c, e: c("s3").delete_bucket(Bucket=e["TEMP_BUCKET"]),
    "make a function": lambda c, e: c("lambda").create_function(
        FunctionName="x", Runtime="python3.11", Handler="x.x", Role="arn:aws:iam::000000000000:role/x",
        Code={"ZipFile": b"x"},
    ),
    "give itself more": lambda c, e: c("iam").list_users(),
}  # fmt: skip
MAY_NOT: dict[str, dict[str, Probe]] = {
    "api": NOBODY | {
        "read a temp object": lambda c, e: c("s3").get_object(Bucket=e["TEMP_BUCKET"], Key="x/y"),
        "take messages": lambda c, e: c("sqs").receive_message(QueueUrl=e["UPLOADS_QUEUE_URL"]),
    },
    "consumer": NOBODY | {
        "read sessions": lambda c, e: c("dynamodb").get_item(
            TableName=f"{e['TABLE_PREFIX']}-sessions", Key={"token_hash": {"S": "x"}}
        ),
    },
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def another_bucket(machine: Machine) -> None:
    machine.client("s3").create_bucket(Bucket="another")


@pytest.mark.parametrize(("part", "what"), [(part, what) for part in MAY_NOT for what in MAY_NOT[part]])
def test_part_may_do_no_more_than_its_roles(machine: Machine, part: str, what: str) -> None:
    with pytest.raises(ClientError) as refused:
        MAY_NOT[part][what](client_of(machine, machine.parts[part]), machine.environment)
    assert refused.value.response["Error"]["Code"] in DENIED


def test_keys_stay_from_one_start_to_the_next_and_one_that_is_lost_is_made_anew(
    machine: Machine, tmp_path: Path
) -> None:
    iam = machine.client("iam")
    outputs = {f"{part.capitalize()}User": f"restarted-{part}" for part in ROLES_OF_PARTS}
    for user in outputs.values():
        iam.create_user(UserName=user)
    first = keys_of_parts(iam, outputs, KeyFile(tmp_path / "aws"))
    assert keys_of_parts(iam, outputs, KeyFile(tmp_path / "aws")) == first

    second = keys_of_parts(iam, outputs, KeyFile(tmp_path / "empty"))
    assert set(second.values()).isdisjoint(first.values())
    with pytest.raises(ClientError, match="token"):
        client_of(machine, first["api"])("dynamodb").list_tables()


def test_keys_are_readable_by_their_owner_only(machine: Machine) -> None:
    assert stat.S_IMODE((machine.folder / "aws" / "keys.json").stat().st_mode) == 0o600
    # The emulator's saved state has them too.
    assert stat.S_IMODE((machine.folder / "aws").stat().st_mode) == 0o700
