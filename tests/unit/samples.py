"""Real files, made by code: what users send."""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    filename: str
    declared_type: str
    body: bytes
    #: What its content says it is.
    mime_type: str


def pdf() -> bytes:
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] >>",
    ]
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table_at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table_at)
    return bytes(out)


def png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00" + b"\xff\x00\x00" * 2 + b"\x00" + b"\x00\xff\x00" * 2)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def zip_archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes.txt", "one\ntwo\n")
    return out.getvalue()


def docx() -> bytes:
    word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/word/document.xml" ContentType="{word}"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/'
            'officeDocument" Target="word/document.xml"/></Relationships>',
        )
        archive.writestr(
            "word/document.xml",
            '<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
            "<w:body><w:p><w:r><w:t>Hello</w:t></w:r></w:p></w:body></w:document>",
        )
    return out.getvalue()


def random_bytes(size_bytes: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


HTML = b"<!DOCTYPE html>\n<html><head><title>x</title></head><body><script>alert(1)</script></body></html>\n"
DOCX_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

SAMPLES = {
    "pdf": Sample("report.pdf", "application/pdf", pdf(), "application/pdf"),
    "png": Sample("dot.png", "image/png", png(), "image/png"),
    "zip": Sample("notes.zip", "application/zip", zip_archive(), "application/zip"),
    "docx": Sample("letter.docx", DOCX_TYPE, docx(), DOCX_TYPE),
    "text": Sample("readme.txt", "text/plain", "Grüße, 世界\n".encode(), "text/plain"),
    "html named jpg": Sample("photo.jpg", "image/jpeg", HTML, "text/html"),
    "empty": Sample("empty.bin", "application/octet-stream", b"", "application/x-empty"),
    "binary": Sample("data.csv", "text/csv", random_bytes(3000), "application/octet-stream"),
}

#: What people and attackers call files -> what is left of it.
NAMES = {
    'he said "hi".txt': "he said hi.txt",
    "it's.txt": "its.txt",
    "two\nlines\r\n.txt": "twolines.txt",
    "../../etc/passwd": "passwd",
    "..\\..\\windows\\win.ini": "win.ini",
    "C:\\Users\\anna\\cv.pdf": "cv.pdf",
    "/etc/shadow": "shadow",
    "x" * 300 + ".pdf": "x" * 251 + ".pdf",
    "ф" * 300 + ".pdf": "ф" * 251 + ".pdf",
    "世" * 300 + ".pdf": "世" * 251 + ".pdf",
    "𠀀" * 300 + ".pdf": "𠀀" * 236 + ".pdf",
    "holiday 😀.jpg": "holiday .jpg",
    "😀.jpg": "unnamed.jpg",
    "😀": "unnamed",
    "Grüße_2024-05.txt": "Grüße_2024-05.txt",
    "Gru\u0308ße.txt": "Grüße.txt",
    ".bashrc": "bashrc",
    ". .hidden": "hidden",
    "trailing. . ": "trailing",
    "name\x00.txt": "name.txt",
    "name\x1b[31m.txt": "name31m.txt",
    "abc\u202egnp.exe": "abcgnp.exe",
    "100%25.txt": "10025.txt",
    "a;b=c&d?.txt": "abcd.txt",
    "हिन्दी.txt": "हिन्दी.txt",
    "con": "_con",
    "NUL.txt": "_NUL.txt",
    "Aux .tar.gz": "_Aux .tar.gz",
    "COM1": "_COM1",
    "com\u00b9.txt": "_com\u00b9.txt",
    "LPT9.": "_LPT9",
    "prn...": "_prn",
    "CONIN$": "CONIN",
    "con" + " " * 260 + "x.txt": "_con.txt",
    "con." + "x" * 300: "_con." + "x" * 250,
    "console.log": "console.log",
    "com10.txt": "com10.txt",
    "a\u200e\u200f\u061c\u202a\u2066\u2069b.txt": "ab.txt",
    "...": "unnamed",
    "/": "unnamed",
    "..": "unnamed",
}
