"""The rule that a name's extension belongs to the detected type: where it holds, and that it refuses no normal file."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import wave
import zipfile
from dataclasses import replace

import pytest

from chalicelib.kernel.errors import VersionConflict
from chalicelib.processing.mime import detect_type
from chalicelib.tenants import organizations as tenants
from chalicelib.tenants.extensions import belongs, extension_of
from chalicelib.tenants.organization import Policy
from tests.unit import samples
from tests.unit.api import Answer, Api, Session
from tests.unit.contract import check_error
from tests.unit.world import World

JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xdb\x00C\x00" + bytes(64) + b"\xff\xd9"
)
PROGRAM = b"MZ" + bytes(58) + (128).to_bytes(4, "little") + bytes(64) + b"PE\0\0\x4c\x01" + bytes(200)
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0\x3e\0\x01\0\0\0" + bytes(40) + b"\x40\0\x38\0\0\0\x40\0\0\0\0\0"
OLE_HEAD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><path d="M0 0"/></svg>\n'


def office(kind: str, part: str) -> bytes:
    """An Office file of this kind, as office suites order its parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("[Content_Types].xml", "_rels/.rels", f"{kind}/_rels/{part}.rels", f"{kind}/{part}"):
            archive.writestr(name, "<?xml version='1.0'?><x/>")
    return out.getvalue()


def open_document(kind: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr("content.xml", "<x/>")
    return out.getvalue()


def sound() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(1)
        made.setframerate(8000)
        made.writeframes(bytes(200))
    return out.getvalue()


def tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"), io.BytesIO())
    return out.getvalue()


def media(brand: bytes) -> bytes:
    """The beginning of a file of ISO's base media format."""
    return (24).to_bytes(4, "big") + b"ftyp" + brand + bytes(4) + brand + b"isom" + (8).to_bytes(4, "big") + b"mdat"


TEXT = b"one, two\nthree, four\n"
NORMAL: list[tuple[bytes, str]] = [
    *((JPEG, f"photo.{extension}") for extension in ("jpg", "jpeg", "JPG", "JPEG", "jpe", "jfif")),
    *((samples.png(), name) for name in ("dot.png", "DOT.PNG", "Screenshot 2024-05-01 at 10.32.11", "dot")),
    (b"GIF89a" + bytes(20), "a.gif"),
    (b"II*\0\x08\0\0\0" + bytes(30), "scan.tif"),
    (b"II*\0\x08\0\0\0" + bytes(30), "IMG_1.dng"),
    (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(30), "a.webp"),
    (b"BM" + (70).to_bytes(4, "little") + bytes(4) + b"\x36\0\0\0\x28\0\0\0" + bytes(60), "a.bmp"),
    (media(b"heic"), "IMG_0001.HEIC"),
    (media(b"mif1"), "IMG_0001.heif"),
    (media(b"avif"), "a.avif"),
    (media(b"isom"), "clip.mp4"),
    (media(b"M4A "), "song.m4a"),
    (media(b"qt  "), "clip.MOV"),
    (b"ID3\x03" + bytes(100), "song.mp3"),
    (sound(), "sound.wav"),
    (b"OggS\0\x02" + bytes(60), "song.ogg"),
    (SVG, "drawing.svg"),
    (SVG.partition(b"\n")[2], "drawing.svg"),
    (samples.pdf(), "report.pdf"),
    (samples.pdf(), "Report 2.1"),
    (samples.pdf(), "Letter to Dr. Meyer"),
    (samples.pdf(), "logo.ai"),
    (b"{\\rtf1\\ansi Hello}", "letter.rtf"),
    (b"{\\rtf1\\ansi Hello}", "letter.doc"),
    (samples.docx(), "letter.docx"),
    (samples.docx(), "macros.docm"),
    *((office("word", "document.xml"), f"a.{extension}") for extension in ("docx", "dotx")),
    *((office("xl", "workbook.xml"), f"a.{extension}") for extension in ("xlsx", "xlsm", "xlsb")),
    *((office("ppt", "presentation.xml"), f"a.{extension}") for extension in ("pptx", "ppsx")),
    *((samples.zip_archive(), f"a.{extension}") for extension in ("zip", "docx", "xlsx", "odt", "jar", "epub", "key")),
    (open_document("text"), "a.odt"),
    (open_document("spreadsheet"), "a.ods"),
    (open_document("presentation"), "a.odp"),
    *((OLE_HEAD, f"a.{extension}") for extension in ("doc", "xls", "ppt", "msg", "docx")),
    (gzip.compress(TEXT), "a.gz"),
    (gzip.compress(TEXT), "a.csv.gz"),
    (gzip.compress(TEXT), "a.tgz"),
    (tar(), "a.tar"),
    (PROGRAM, "setup.exe"),
    (PROGRAM, "library.DLL"),
    *((TEXT, f"a.{end}") for end in ("txt", "csv", "md", "log", "yaml", "py", "ts", "bat", "json", "xml", "conf", "r")),
    ("Grüße, 世界\n".encode("utf-16"), "a.csv"),
    ("one;two\n".encode("utf-16-le"), "a.csv"),
    ("Grüße\n".encode("latin-1"), "a.txt"),
    (json.dumps({"a": [1, 2]}).encode(), "a.json"),
    (json.dumps({"type": "FeatureCollection"}).encode(), "map.geojson"),
    (b"<?xml version='1.0'?>\n<a/>\n", "a.xml"),
    (samples.HTML, "page.html"),
    (samples.HTML, "notes.md"),
    (b"#include <stdio.h>\nint main(void) { return 0; }\n", "main.c"),
    (b"#!/bin/sh\necho\n", "run.sh"),
    (b"import os\n\ndef f():\n    return 1\n", "a.py"),
    (b"From: a@example.com\nSubject: x\n\nHello\n", "mail.eml"),
    (b"BEGIN:VCARD\nVERSION:3.0\nEND:VCARD\n", "a.vcf"),
    (b"", "empty.jpg"),
    (samples.random_bytes(3000), "data.bin"),
    (samples.random_bytes(3000), "data"),
    (samples.random_bytes(3000), "secrets.kdbx"),
]


@pytest.mark.parametrize(
    ("body", "filename"), NORMAL, ids=[f"{number} {name}" for number, (_, name) in enumerate(NORMAL)]
)
def test_normal_file_is_welcome(body: bytes, filename: str) -> None:
    mime_type = detect_type(body)
    assert Policy(match_extension=True).refusal_of_name(filename, mime_type) is None, mime_type


WRONG: list[tuple[bytes, str]] = [
    *((JPEG, f"payroll.{end}") for end in ("exe", "EXE", "scr", "com", "html", "js", "bat", "pdf", "png", "txt", "x")),
    (samples.png(), "photo.jpg"),
    (samples.HTML, "photo.jpg"),
    (samples.HTML, "invoice.pdf"),
    (TEXT, "photo.png"),
    (TEXT, "table.xlsx"),
    (TEXT, "notes.exe"),
    (samples.pdf(), "report.docx"),
    (samples.docx(), "letter.pdf"),
    (samples.zip_archive(), "notes.txt"),
    (samples.zip_archive(), "photo.jpg"),
    (samples.zip_archive(), "run.bat"),
    (PROGRAM, "report.pdf"),
    (PROGRAM, "photo.jpg"),
    (PROGRAM, "notes.txt"),
    (PROGRAM, "notes.zip"),
    (gzip.compress(TEXT), "photo.gif"),
    (OLE_HEAD, "photo.jpg"),
    (ELF, "report.pdf"),
    (samples.random_bytes(3000), "photo.jpg"),
    (samples.random_bytes(3000), "setup.exe"),
]


@pytest.mark.parametrize(
    ("body", "filename"), WRONG, ids=[f"{number} {name}" for number, (_, name) in enumerate(WRONG)]
)
def test_name_of_another_format_is_refused_with_a_sentence(body: bytes, filename: str) -> None:
    mime_type = detect_type(body)
    refusal = Policy(match_extension=True).refusal_of_name(filename, mime_type)
    assert refusal is not None, mime_type
    assert f".{extension_of(filename)} does not belong to a file of type {mime_type}" in refusal
    assert Policy().refusal_of_name(filename, mime_type) is None


@pytest.mark.parametrize("sample", samples.SAMPLES.values(), ids=list(samples.SAMPLES))
def test_samples_are_welcome_but_for_the_page_called_photo(sample: samples.Sample) -> None:
    assert belongs(sample.filename, sample.mime_type) == (sample.filename != "photo.jpg")


def match_extensions(world: World, anna: Session) -> None:
    tenants.set_policy(world.stores, anna.caller.organization_id, Policy(match_extension=True))


def test_upload_whose_extension_is_another_types_fails_and_its_bytes_go(api: Api, anna: Session, world: World) -> None:
    match_extensions(world, anna)
    file_id = api.upload(anna, JPEG, "payroll.exe").json["id"]
    world.drain()
    record = api.get(f"/files/{file_id}", anna).json
    assert record["status"] == "failed"
    assert record["error_message"].startswith(
        "The extension .exe does not belong to a file of type image/jpeg: end its"
    )
    assert (world.temp(), world.permanent()) == ({}, {})
    assert world.organization().usage.bytes_used == 0
    assert api.post(f"/files/{file_id}/retry", anna).status == 409


def test_upload_is_taken_by_an_organization_without_the_rule(api: Api, anna: Session, world: World) -> None:
    file_id = api.upload(anna, JPEG, "payroll.exe").json["id"]
    world.drain()
    assert api.get(f"/files/{file_id}", anna).json["status"] == "completed"


def rename(api: Api, anna: Session, file_id: str, filename: str) -> Answer:
    return api.request("PATCH", f"/files/{file_id}", session=anna, json_body={"filename": filename})


def test_rename_to_another_types_extension_is_409_and_changes_nothing(api: Api, anna: Session, world: World) -> None:
    match_extensions(world, anna)
    file_id = api.upload(anna, JPEG, "photo.jpg").json["id"]
    world.drain()
    before = world.snapshot()
    sentence = check_error(rename(api, anna, file_id, "payroll.exe"), 409)
    assert "end its name in one of .jfi, .jfif, .jif, .jpe, .jpeg, .jpg" in sentence
    assert world.snapshot() == before
    assert rename(api, anna, file_id, "holiday.jpeg").json["filename"] == "holiday.jpeg"


def test_name_given_before_the_type_is_known_is_checked_by_processing(api: Api, anna: Session, world: World) -> None:
    match_extensions(world, anna)
    file_id = api.upload(anna, JPEG, "photo.jpg").json["id"]
    assert rename(api, anna, file_id, "payroll.exe").status == 200
    world.drain()
    assert api.get(f"/files/{file_id}", anna).json["status"] == "failed"


def test_name_given_while_processing_is_at_it_is_checked_too(api: Api, anna: Session, world: World) -> None:
    """An attempt that looked at the old name can't complete the file under the new one."""
    match_extensions(world, anna)
    file_id = api.upload(anna, JPEG, "photo.jpg").json["id"]
    as_checked = world.stores.files.find(anna.caller.organization_id, file_id)
    assert as_checked is not None
    assert rename(api, anna, file_id, "payroll.exe").status == 200
    with pytest.raises(VersionConflict):
        world.stores.files.replace(as_checked, replace(as_checked, status="completed", mime_type="image/jpeg"))
