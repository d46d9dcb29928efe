"""Uploads straight to S3 on the real emulator: what was signed is enforced, and nothing exceeds the quota.

The emulator enforces a form's key, size and type, but not its checksum; on AWS S3 refuses that too. Processing checks
the checksum by itself in any case (tests/unit/direct).
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from chalicelib import keys
from chalicelib.kernel.caller import Caller
from chalicelib.kernel.errors import QuotaExceeded
from chalicelib.sweep.sweeping import sweep
from chalicelib.tenants import organizations as tenants
from chalicelib.uploads import direct_uploads
from chalicelib.uploads.direct_uploads import UploadIntent
from chalicelib.wiring import Stores
from tests.integration.conftest import Running, Tenant

MEBIBYTE = 1024 * 1024


def send_form(upload: dict[str, Any], content: bytes, **changed: str) -> int:
    return httpx.post(upload["url"], data={**upload["fields"], **changed}, files={"file": ("x", content)}).status_code


def test_form_takes_exactly_what_was_announced(tenant: Tenant) -> None:
    content = os.urandom(100_000)
    sha256 = hashlib.sha256(content).hexdigest()
    announced = {"filename": "a.bin", "size": len(content), "content_type": "application/x-a", "sha256": sha256}
    record = tenant.client.post("/files", json=announced).json()
    upload = record["upload"]
    assert send_form(upload, content + b"x") >= 400
    assert send_form(upload, content[:-1]) >= 400
    assert send_form(upload, content, key="other/key") == 403
    assert send_form(upload, content, **{"Content-Type": "text/html"}) == 403
    assert send_form(upload, content, policy="") >= 400
    assert tenant.client.get(f"/files/{record['id']}").json()["status"] == "pending"
    assert send_form(upload, content) == 201
    details = tenant.await_settled(record["id"])
    assert (details["status"], details["sha256_hash"]) == ("completed", sha256)
    assert send_form(upload, content[::-1]) == 201
    again = tenant.client.get(f"/files/{record['id']}").json()
    assert again == details


def test_parts_are_sent_to_signed_urls_and_resumed(tenant: Tenant, running: Running) -> None:
    started = tenant.client.post("/s3/multipart", json={"filename": "big.bin", "type": "application/x-b"}).json()
    content = os.urandom(12 * MEBIBYTE)
    pieces = {1: content[: 5 * MEBIBYTE], 2: content[5 * MEBIBYTE : 10 * MEBIBYTE], 3: content[10 * MEBIBYTE :]}
    path, key = f"/s3/multipart/{started['uploadId']}", {"key": started["key"]}

    def send(number: int) -> None:
        url = tenant.client.get(f"{path}/{number}", params=key).json()["url"]
        assert httpx.put(url, content=pieces[number]).status_code == 200

    send(1)
    # A page that was reloaded asks what has arrived, and goes on with the rest.
    arrived = tenant.client.get(path, params=key).json()
    assert [part["PartNumber"] for part in arrived] == [1]
    send(2)
    send(3)
    parts = [
        {"PartNumber": part["PartNumber"], "ETag": part["ETag"].strip('"')}
        for part in tenant.client.get(path, params=key).json()
    ]
    assert tenant.client.post(f"{path}/complete", params=key, json={"parts": parts}).status_code == 200
    details = tenant.await_settled(started["key"].partition("/")[2])
    assert details["status"] == "completed"
    assert details["sha256_hash"] == hashlib.sha256(content).hexdigest()
    other = running.new_tenant()
    assert other.client.get(path, params=key).status_code == 404
    other.client.close()


def in_parts(tenant: Tenant, **metadata: int) -> tuple[str, dict[str, str]]:
    body = {"filename": "big.bin", "type": "application/x-b", "metadata": metadata}
    started = tenant.client.post("/s3/multipart", json=body).json()
    return f"/s3/multipart/{started['uploadId']}", {"key": started["key"]}


def test_part_of_known_size_takes_no_other_length(tenant: Tenant, stores: Stores) -> None:
    """A quota of 1 MB held 30 MiB once."""
    tenants.set_quota(stores, tenant.organization_id, 10**6, 10)
    path, key = in_parts(tenant, size=1)
    url = tenant.client.get(f"{path}/1", params=key).json()["url"]
    assert httpx.put(url, content=bytes(30 * MEBIBYTE)).status_code == 403
    assert tenant.client.get(path, params=key).json() == []
    assert httpx.put(url, content=b"x").status_code == 200
    parts = [{"PartNumber": 1, "ETag": tenant.client.get(path, params=key).json()[0]["ETag"]}]
    assert tenant.client.post(f"{path}/complete", params=key, json={"parts": parts}).status_code == 200
    assert tenant.await_settled(key["key"].partition("/")[2])["file_size"] == 1
    assert tenant.client.post("/s3/multipart", json={"filename": "a", "type": "a/b"}).status_code == 409


@pytest.mark.parametrize("by", ["signing", "sweep"])
def test_upload_of_unknown_size_ends_at_the_quota(tenant: Tenant, stores: Stores, running: Running, by: str) -> None:
    tenants.set_quota(stores, tenant.organization_id, 300 * MEBIBYTE, 10)
    for held in (100, 99):
        colleague = Caller(tenant.organization_id, keys.new_user_id(), "a colleague")
        direct_uploads.start_upload(stores, colleague, UploadIntent("a", held * MEBIBYTE))
    path, key = in_parts(tenant)
    url = tenant.client.get(f"{path}/1", params=key).json()["url"]
    for number in (2, 3):
        url_of_number = tenant.client.get(f"{path}/{number}", params=key).json()["url"]
        assert httpx.put(url_of_number, content=bytes(30 * MEBIBYTE)).status_code == 200
    assert httpx.put(url, content=bytes(42 * MEBIBYTE)).status_code == 200
    if by == "sweep":
        assert sweep(stores)["given_up"] == 1
    else:
        refused = tenant.client.get(f"{path}/4", params=key)
        assert (refused.status_code, refused.json()["error"]) == (409, refused.json()["message"])
    details = tenant.client.get(f"/files/{key['key'].partition('/')[2]}").json()
    assert details["status"] == "failed"
    assert f"of its {300 * MEBIBYTE}." in details["error_message"]
    assert tenant.client.get("/usage").json()["bytes"]["used"] == (100 + 99) * MEBIBYTE
    assert httpx.put(url, content=b"x").status_code == 404
    s3 = running.machine.client("s3")
    open_uploads = s3.list_multipart_uploads(Bucket=running.machine.environment["TEMP_BUCKET"]).get("Uploads", [])
    assert [upload for upload in open_uploads if upload["Key"] == key["key"]] == []


def test_part_url_opens_no_other_part(tenant: Tenant) -> None:
    started = tenant.client.post("/s3/multipart", json={"filename": "big.bin", "type": "application/x-b"}).json()
    path, key = f"/s3/multipart/{started['uploadId']}", {"key": started["key"]}
    url = tenant.client.get(f"{path}/1", params=key).json()["url"]
    assert httpx.put(url.replace("partNumber=1", "partNumber=2"), content=b"x").status_code == 403
    assert tenant.client.get(path, params=key).json() == []


@pytest.mark.parametrize("attempts", [40])
def test_concurrent_starts_never_exceed_the_quota(tenant: Tenant, stores: Stores, attempts: int) -> None:
    tenants.set_quota(stores, tenant.organization_id, 1000, 100)
    # Two, as one may hold half of the quota.
    callers = [Caller(tenant.organization_id, keys.new_user_id(), tenant.username) for _ in range(2)]

    def attempt(number: int) -> bool:
        try:
            direct_uploads.start_upload(stores, callers[number % 2], UploadIntent("a", 100))
        except QuotaExceeded:
            return False
        return True

    _ = stores.direct_uploads, stores.files  # built once, not by every thread
    with ThreadPoolExecutor(16) as pool:
        started = list(pool.map(attempt, range(attempts)))
    assert sum(started) == 10
    organization = stores.organizations.find(tenant.organization_id)
    assert organization is not None
    usage = organization.usage
    assert (usage.bytes_used, usage.bytes_available, usage.files_used) == (1000, 0, 10)


def test_download_keeps_ranges_and_unicode_names(tenant: Tenant) -> None:
    record = tenant.upload("заметка 1.txt", b"0123456789")
    tenant.await_settled(record["id"])
    location = tenant.client.get(f"/files/{record['id']}/content").headers["location"]
    part = httpx.get(location, headers={"Range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert "filename*=UTF-8''%D0%B7" in part.headers["content-disposition"]
    head = tenant.client.head(f"/files/{record['id']}/content")
    assert httpx.head(head.headers["location"]).headers["content-length"] == "10"
