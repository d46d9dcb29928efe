"""The main job over HTTP, on real parts: upload, processing, details, download, isolation."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile

import httpx
import pytest

from tests.integration.conftest import Running, Tenant, await_condition

MEGABYTE = 1024 * 1024
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


def _docx() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", '<?xml version="1.0"?><Types/>')
        archive.writestr("_rels/.rels", '<?xml version="1.0"?><Relationships/>')
        archive.writestr("word/document.xml", "<w:document/>" * 100)
    return packed.getvalue()


def _zip() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "a")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "mime_type"),
    [
        ("report.pdf", b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", "application/pdf"),
        ("dot.png", PNG, "image/png"),
        ("bundle.zip", _zip(), "application/zip"),
        ("letter.docx", _docx(), "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("note.txt", b"plain text\n", "text/plain"),
        ("holiday.jpg", b"<!DOCTYPE html><html><script>alert(1)</script></html>", "text/html"),
        ("empty.bin", b"", "application/x-empty"),
    ],
)
def test_uploaded_file_is_completed_with_its_hash_and_real_type(
    tenant: Tenant, name: str, content: bytes, mime_type: str
) -> None:
    record = tenant.upload(name, content)
    assert record["status"] == "pending"
    details = tenant.await_settled(record["id"])
    assert details["status"] == "completed"
    assert details["sha256_hash"] == hashlib.sha256(content).hexdigest()
    assert details["mime_type"] == mime_type
    assert details["file_size"] == len(content)
    location = tenant.client.get(f"/files/{record['id']}/content").headers["location"]
    download = httpx.get(location)
    assert download.content == content
    assert download.headers["content-disposition"].startswith("attachment;")
    assert download.headers["content-type"] == mime_type


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\notes.txt", "notes.txt"),
        ("quo\"te's.txt", "quotes.txt"),
        ("party 🎉.png", "party .png"),
        ("résumé 履歴書.pdf", "résumé 履歴書.pdf"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt"),
        ("🎉", "unnamed"),
    ],
)
def test_filenames_are_cleaned(tenant: Tenant, sent: str, kept: str) -> None:
    record = tenant.upload(sent, b"content")
    assert record["filename"] == kept
    assert tenant.await_settled(record["id"])["status"] == "completed"


def test_45_megabyte_form_lies_whole_under_the_organizations_prefix(running: Running, tenant: Tenant) -> None:
    content = os.urandom(45 * MEGABYTE)
    record = tenant.upload("large.bin", content)
    details = tenant.await_settled(record["id"])
    assert details["sha256_hash"] == hashlib.sha256(content).hexdigest()
    s3 = running.machine.client("s3")
    bucket = running.machine.environment["PERMANENT_BUCKET"]
    key = f"{tenant.organization_id}/{record['id']}_large.bin"
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == content
    temp = running.machine.environment["TEMP_BUCKET"]

    def temp_is_empty() -> bool:
        return "Contents" not in s3.list_objects_v2(Bucket=temp, Prefix=tenant.organization_id)

    await_condition(temp_is_empty, "the temp object's deletion")


def test_second_organization_sees_nothing(running: Running, tenant: Tenant) -> None:
    record = tenant.upload("secret.txt", b"secret")
    tenant.await_settled(record["id"])
    other = running.new_tenant()
    assert other.client.get("/files").json()["files"] == []
    assert other.client.get("/files").json()["total"] == 0
    for method, path in (("GET", ""), ("GET", "/content"), ("HEAD", "/content"), ("DELETE", "")):
        assert other.client.request(method, f"/files/{record['id']}{path}").status_code == 404
    assert tenant.client.get(f"/files/{record['id']}").status_code == 200
    other.client.close()


def test_logout_ends_the_session_on_the_server(tenant: Tenant) -> None:
    cookie = dict(tenant.client.cookies)
    assert tenant.client.post("/auth/logout").status_code == 200
    assert httpx.get(f"{tenant.client.base_url}/auth/me", cookies=cookie).status_code == 401
