"""The deployed API over HTTP: real gateway, functions, trigger, cache and permissions."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import httpx
import pytest
import redis

from chalicelib import keys
from chalicelib.kernel.caller import Caller
from chalicelib.tenants import organizations as tenants
from chalicelib.uploads import direct_uploads
from chalicelib.uploads.direct_uploads import UploadIntent
from infra import packaging

from .stack import DeployedStack, Member

MEGABYTE = 1_000_000
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def acme(stack: DeployedStack) -> Member:
    return stack.sign_up("Acme")


@pytest.fixture(scope="module")
def rival(stack: DeployedStack) -> Member:
    return stack.sign_up("Rival")


def test_every_dependency_is_up(stack: DeployedStack, acme: Member) -> None:
    assert set(stack.api.get("/health").json()) == {"status", "time"}, "a stranger is told no more"
    answer = stack.api.get("/health", headers=acme.headers)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()["dependencies"].values()) == {"up"}


def test_smoke_script_passes(stack: DeployedStack) -> None:
    """The script that a person runs, unchanged."""
    member = stack.sign_up("Smoke")
    environment = {
        **os.environ,
        "BASE_URL": stack.release.url,
        "SMOKE_USERNAME": member.username,
        "SMOKE_PASSWORD": member.password,
    }
    result = subprocess.run(
        [sys.executable, "-m", "infra.smoke"],
        cwd=packaging.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_upload_arrives_whole_and_is_completed_by_the_trigger(stack: DeployedStack, acme: Member) -> None:
    body = os.urandom(100_000)
    pending = stack.upload(acme, "über uns & mehr.bin", body)
    assert pending["status"] == "pending"
    record = stack.wait_for(acme, pending["id"], "completed", "failed")
    assert (record["status"], record["file_size"]) == ("completed", len(body))
    assert record["sha256_hash"] == hashlib.sha256(body).hexdigest()

    s3 = stack.session.client("s3")
    prefix = f"{acme.organization_id}/{record['id']}_"
    [kept] = s3.list_objects_v2(Bucket=stack.outputs["PermanentBucket"], Prefix=prefix)["Contents"]
    assert s3.get_object(Bucket=stack.outputs["PermanentBucket"], Key=kept["Key"])["Body"].read() == body
    assert "Contents" not in s3.list_objects_v2(
        Bucket=stack.outputs["TempBucket"], Prefix=f"{acme.organization_id}/{record['id']}"
    )


def test_download_leads_to_the_same_bytes(stack: DeployedStack, acme: Member) -> None:
    body = b"%PDF-1.7\n" + os.urandom(5000)
    record = stack.uploaded(acme, "report.pdf", body)
    assert record["mime_type"] == "application/pdf"
    answer = stack.api.get(f"/files/{record['id']}/content", headers=acme.headers)
    assert answer.status_code == 302, answer.text
    download = httpx.get(answer.headers["location"])
    assert download.status_code == 200, download.text
    assert download.content == body
    # Asked for in the URL; the emulator leaves such wishes aside for a version of an object.
    assert parse_qs(urlsplit(answer.headers["location"]).query)["response-content-disposition"][0].startswith(
        "attachment"
    )


def test_form_of_four_megabytes_passes_and_a_larger_one_says_how_to_send_it(stack: DeployedStack, acme: Member) -> None:
    stack.uploaded(acme, "four.bin", os.urandom(4 * MEGABYTE))
    answer = stack.api.post("/files", headers=acme.headers, files={"file": ("five.bin", os.urandom(5 * MEGABYTE))})
    assert answer.status_code == 413, answer.text
    assert "POST" in answer.json()["message"]


def test_list_filters_and_deletion(stack: DeployedStack, acme: Member) -> None:
    record = stack.uploaded(acme, "list-me.txt", b"listed\n")
    filters = {"status": "completed", "mime_type": record["mime_type"]}
    found = stack.api.get("/files", headers=acme.headers, params=filters).json()
    assert record["id"] in [file["id"] for file in found["files"]]
    assert stack.api.delete(f"/files/{record['id']}", headers=acme.headers).status_code == 204
    assert stack.api.get(f"/files/{record['id']}", headers=acme.headers).status_code == 404
    objects = stack.session.client("s3").list_objects_v2(
        Bucket=stack.outputs["PermanentBucket"], Prefix=f"{acme.organization_id}/{record['id']}"
    )
    assert objects["KeyCount"] == 0


def test_session_is_dead_after_logout(stack: DeployedStack) -> None:
    member = stack.sign_up("Leaver")
    assert stack.api.get("/auth/me", headers=member.headers).status_code == 200
    assert stack.api.post("/auth/logout", headers=member.headers).status_code == 200
    assert stack.api.get("/auth/me", headers=member.headers).status_code == 401


def test_new_password_ends_the_other_sessions(stack: DeployedStack) -> None:
    member = stack.sign_up("Changer")
    other = {"Authorization": f"Bearer {stack.sign_in(member.username, member.password)}"}
    passwords = {"current_password": member.password, "new_password": "another correct horse"}
    assert stack.api.post("/auth/password", headers=member.headers, json=passwords).status_code == 200
    assert stack.api.get("/auth/me", headers=member.headers).status_code == 200
    assert stack.api.get("/auth/me", headers=other).status_code == 401


def test_counters_live_in_the_real_cache(stack: DeployedStack, acme: Member, cache_port: int) -> None:
    stack.api.get("/auth/me", headers=acme.headers)
    with redis.Redis(port=cache_port) as cache:
        assert cache.dbsize() > 0


# ---- Isolation ---------------------------------------------------------------------------------------------------


def deployed_operations(template: dict[str, Any]) -> list[tuple[str, str]]:
    """Method and path of every route of the deployed definition, preflights aside."""
    paths = template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods if method != "options"]


PUBLIC = {
    ("POST", "/auth/login"),
    ("POST", "/auth/second-factor"),
    ("POST", "/api-keys/revoke"),
    ("POST", "/invitations/accept"),
    ("POST", "/organizations"),
    ("GET", "/health"),
    ("GET", "/openapi.json"),
    ("GET", "/"),
    ("HEAD", "/"),
    ("GET", "/console/{version}/{name}"),
    ("GET", "/console/{version}/{folder}/{name}"),
    ("GET", "/schemas/events.json"),
}


# A body that every writing route could be called with; what is wrong with it must not be said to a stranger.
ANY_BODY = {"filename": "mine.txt", "size": 1, "parts": [], "part_numbers": [1], "type": "text/plain"}


def call(stack: DeployedStack, method: str, path: str, file_id: str, member: Member | None) -> httpx.Response:
    """The operation on a file of somebody else, with all else as it should be."""
    body = None if method in ("GET", "HEAD", "DELETE") else ANY_BODY
    named = re.sub(r"{\w+}", file_id, path.replace("{part_number}", "1"))
    headers = member.headers if member else {}
    return stack.api.request(method, named, headers=headers, json=body, params={"key": file_id, "partNumbers": "1"})


def ticket_of(stack: DeployedStack, member: Member) -> str:
    answer = stack.api.post("/auth/ticket", headers=member.headers)
    assert answer.status_code in (200, 201), answer.text
    [ticket] = re.findall(r"/t/([^/\"]+)", answer.text)
    return str(ticket)


def test_every_route_but_the_public_ones_asks_for_a_session(stack: DeployedStack, package: Any) -> None:
    operations = [operation for operation in deployed_operations(package.template) if operation not in PUBLIC]
    assert len(operations) >= 20
    for method, path in operations:
        answer = call(stack, method, path, "01a2087b-8872-7b31-b3ea-2911107d938c", None)
        assert answer.status_code == 401, f"{method} {path}: {answer.status_code} {answer.text}"
        if method != "HEAD":
            assert_error_shape(answer)


def test_no_route_shows_or_changes_a_file_of_another_organization(
    stack: DeployedStack, package: Any, acme: Member, rival: Member
) -> None:
    record = stack.uploaded(acme, "secret.txt", b"only ours\n")
    # A ticket in the path stands for the one who got it, and names no file.
    ticket = ticket_of(stack, rival)
    operations = [
        (method, path.replace("{ticket}", ticket))
        for method, path in deployed_operations(package.template)
        if "{" in path.replace("{ticket}", "")
    ]
    assert len(operations) >= 15
    for method, path in operations:
        answer = call(stack, method, path, record["id"], rival)
        assert answer.status_code == 404, f"{method} {path}: {answer.status_code} {answer.text}"
        if method != "HEAD":
            assert_error_shape(answer)
    assert stack.details(acme, record["id"]) == record
    assert stack.api.get("/files", headers=rival.headers).json()["total"] == 0


# ---- Straight to S3: what the client may do is what the API function's role may do -----------------------------------


def test_bytes_go_straight_to_s3_by_a_presigned_form(stack: DeployedStack, acme: Member) -> None:
    body = os.urandom(300_000)
    started = stack.api.post("/files", headers=acme.headers, json={"filename": "direct.bin", "size": len(body)})
    assert started.status_code == 201, started.text
    upload = started.json()["upload"]
    too_long = httpx.post(upload["url"], data=upload["fields"], files={"file": ("direct.bin", body + b"x")})
    assert too_long.status_code == 400, too_long.text
    sent = httpx.post(upload["url"], data=upload["fields"], files={"file": ("direct.bin", body)})
    assert sent.status_code in (200, 201, 204), sent.text
    record = stack.wait_for(acme, started.json()["id"], "completed", "failed")
    assert record["status"] == "completed", record
    assert record["sha256_hash"] == hashlib.sha256(body).hexdigest()


def test_parts_go_straight_to_s3_and_are_put_together(stack: DeployedStack, acme: Member) -> None:
    """By the contract that Uppy speaks; the last part alone may be smaller than 5 MiB."""
    parts = [os.urandom(5 * 1024 * 1024), os.urandom(100_000)]
    metadata = {"filename": "parts.bin", "type": "application/octet-stream", "metadata": {}}
    started = stack.api.post("/s3/multipart", headers=acme.headers, json=metadata)
    assert started.status_code == 200, started.text
    path = f"/s3/multipart/{started.json()['uploadId']}"
    key = {"key": started.json()["key"]}
    done = []
    for number, part in enumerate(parts, start=1):
        signed = stack.api.get(f"{path}/{number}", headers=acme.headers, params=key).json()
        sent = httpx.put(signed["url"], content=part)
        assert sent.status_code == 200, sent.text
        done.append({"PartNumber": number, "ETag": sent.headers["etag"]})
    listed = stack.api.get(path, headers=acme.headers, params=key).json()
    assert [part["Size"] for part in listed] == [len(part) for part in parts]
    completed = stack.api.post(f"{path}/complete", headers=acme.headers, params=key, json={"parts": done})
    assert completed.status_code == 200, completed.text
    file_id = started.json()["key"].rsplit("/", 1)[-1]
    record = stack.wait_for(acme, file_id, "completed", "failed")
    assert record["status"] == "completed", record
    assert record["sha256_hash"] == hashlib.sha256(b"".join(parts)).hexdigest()


# ---- What the gateway answers by itself ------------------------------------------------------------------------------


def assert_error_shape(answer: httpx.Response) -> None:
    body = answer.json()
    assert set(body) == {"error", "message", "code", "request_id"}, body
    assert body["error"] == body["message"]
    assert body["request_id"]
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nothing/here"), ("PUT", "/files"), ("GET", "/auth/login"), ("DELETE", "/")]
)
def test_unknown_path_and_wrong_method_are_404_in_our_shape(stack: DeployedStack, method: str, path: str) -> None:
    answer = stack.api.request(method, path)
    assert answer.status_code == 404, answer.text
    assert_error_shape(answer)


def test_console_is_below_the_stage_with_all_its_files(stack: DeployedStack) -> None:
    document = stack.api.get("/")
    assert document.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in document.headers["content-security-policy"]
    addresses = re.findall(r'(?:href|src)="/api(/console/[^"]+)"', document.text)
    assert len(addresses) > 5
    for address in addresses:
        answer = stack.api.get(address)
        assert answer.status_code == 200, address
        assert "immutable" in answer.headers["cache-control"]


def test_pages_of_the_api_may_send_bytes_to_storage(stack: DeployedStack) -> None:
    rules = stack.session.client("s3").get_bucket_cors(Bucket=stack.outputs["TempBucket"])["CORSRules"]
    assert any(stack.outputs["RestAPIId"] in origin for rule in rules for origin in rule["AllowedOrigins"])


def test_the_api_has_no_stage_but_its_own(stack: DeployedStack) -> None:
    stages = stack.session.client("apigateway").get_stages(restApiId=stack.outputs["RestAPIId"])["item"]
    assert [stage["stageName"] for stage in stages] == ["api"]


# ---- The sweep, with its own permissions ---------------------------------------------------------------------------


def make_old(session: boto3.Session, stack: DeployedStack, partition: str, file_id: str) -> None:
    """As if nothing had happened to the row for a day."""
    session.client("dynamodb").update_item(
        TableName=f"{stack.outputs['TablePrefix']}-files",
        Key={"organization_id": {"S": partition}, "file_id": {"S": file_id}},
        UpdateExpression="SET touched_at = :old",
        ExpressionAttributeValues={":old": {"S": "2020-01-01T00:00:00.000Z"}},
    )


def run_sweep(stack: DeployedStack) -> dict[str, int]:
    """As the schedule does it."""
    event = {
        "version": "0",
        "id": "test",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": "2026-01-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
        "detail": {},
    }
    answer = stack.session.client("lambda").invoke(FunctionName="strongroom-prod-sweep", Payload=json.dumps(event))
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    result: dict[str, int] = payload
    return result


def test_sweep_sends_a_forgotten_upload_on_its_way_and_ends_one_that_never_came(
    stack: DeployedStack, acme: Member
) -> None:
    trigger = stack.session.client("lambda")
    [mapping] = trigger.list_event_source_mappings(FunctionName="strongroom-prod-process")["EventSourceMappings"]
    queue = stack.session.client("sqs")
    trigger.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        forgotten = stack.upload(acme, "forgotten.txt", b"nobody told anyone\n")
        never_came = stack.upload(acme, "never.txt", b"x")
        stack.session.client("s3").delete_object(
            Bucket=stack.outputs["TempBucket"], Key=f"{acme.organization_id}/{never_came['id']}"
        )
        queue.purge_queue(QueueUrl=stack.outputs["UploadsQueueUrl"])
        for record in (forgotten, never_came):
            make_old(stack.session, stack, acme.organization_id, record["id"])
        done = run_sweep(stack)
    finally:
        trigger.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    assert (done.get("requeued"), done.get("expired")) == (1, 1)
    assert stack.wait_for(acme, never_came["id"], "completed", "failed")["status"] == "failed"
    assert stack.wait_for(acme, forgotten["id"], "completed", "failed")["status"] == "completed"


def test_sweep_finishes_a_deletion_that_stopped_half_way(stack: DeployedStack, acme: Member) -> None:
    record = stack.uploaded(acme, "half-deleted.txt", b"still there\n")
    files = stack.stores().files
    file = files.find(acme.organization_id, record["id"])
    assert file is not None
    removed = files.remove(file)
    make_old(stack.session, stack, removed.partition, record["id"])
    assert run_sweep(stack).get("deletions_finished") == 1
    objects = stack.session.client("s3").list_objects_v2(
        Bucket=stack.outputs["PermanentBucket"], Prefix=f"{acme.organization_id}/{record['id']}"
    )
    assert objects["KeyCount"] == 0


def test_parts_are_held_to_the_quota(stack: DeployedStack) -> None:
    """By S3 where the size is known; else by the API when it signs, or by the sweep, each with its own permissions."""
    member = stack.sign_up("Small")
    tenants.set_quota(stack.stores(), member.organization_id, 300 * MEBIBYTE, 10)
    for held in (100, 99):
        colleague = Caller(member.organization_id, keys.new_user_id(), "a colleague")
        direct_uploads.start_upload(stack.stores(), colleague, UploadIntent("a", held * MEBIBYTE))

    def start(metadata: dict[str, int]) -> tuple[str, dict[str, str]]:
        body = {"filename": "parts.bin", "type": "application/octet-stream", "metadata": metadata}
        started = stack.api.post("/s3/multipart", headers=member.headers, json=body)
        assert started.status_code == 200, started.text
        return f"/s3/multipart/{started.json()['uploadId']}", {"key": started.json()["key"]}

    def sign(path: str, key: dict[str, str], number: int) -> httpx.Response:
        return stack.api.get(f"{path}/{number}", headers=member.headers, params=key)

    path, key = start({"size": 1})
    assert httpx.put(sign(path, key, 1).json()["url"], content=bytes(30 * MEBIBYTE)).status_code == 403
    assert stack.api.delete(path, headers=member.headers, params=key).status_code == 200
    for by in ("signing", "sweep"):
        path, key = start({})
        url = sign(path, key, 1).json()["url"]
        assert httpx.put(url, content=bytes(102 * MEBIBYTE), timeout=60).status_code == 200
        if by == "sweep":
            assert run_sweep(stack).get("given_up") == 1
        else:
            assert sign(path, key, 2).status_code == 409
        record = stack.details(member, key["key"].rpartition("/")[2])
        assert (record["status"], "of its" in record["error_message"]) == ("failed", True)
        assert httpx.put(url, content=b"x").status_code == 404
    used = stack.api.get("/usage", headers=member.headers).json()["bytes"]["used"]
    assert used == (100 + 99) * MEBIBYTE, "what the colleagues reserve"


def test_object_that_belongs_to_nobody_is_deleted(stack: DeployedStack) -> None:
    s3 = stack.session.client("s3")
    s3.put_object(Bucket=stack.outputs["TempBucket"], Key="nobody/knows+this one.txt", Body=b"stray")
    for _ in range(100):
        if s3.list_objects_v2(Bucket=stack.outputs["TempBucket"], Prefix="nobody/")["KeyCount"] == 0:
            return
        time.sleep(0.2)
    pytest.fail("the stray object is still there")
