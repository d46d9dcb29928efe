"""Hostile input made by hand, over real HTTP: each is refused in the contract's shape, and nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.conftest import Site, check_refusal, form

ROOT = Path(__file__).resolve().parents[2]
FORM = {"Content-Type": "multipart/form-data; boundary=b"}
NOBODY = "01931f5e-7a3c-7cc2-9d5e-4a1c6a0f6c3b"
SERVER_ERROR = 500


# ---- forms -----------------------------------------------------------------------------------------------------------
WHOLE = form(b"some content\n")


@pytest.mark.parametrize("length", range(len(WHOLE) - 1))
def test_form_cut_short_at_any_byte_is_refused(site: Site, length: int) -> None:
    before = site.count()
    answer = site.send("POST", "/files", WHOLE[:length], FORM)
    if WHOLE[:length].endswith(b"--b--"):
        # Only the line break after the last boundary is missing, which RFC 2046 does not ask for.
        assert answer.status == 201
        return
    check_refusal(answer, 400)
    assert site.count() == before


def test_connection_that_ends_in_the_middle_of_the_body_leaves_nothing(site: Site) -> None:
    before = site.count()
    head = f"POST /files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {site.token}\r\n"
    head += f"Content-Type: {FORM['Content-Type']}\r\nContent-Length: {len(WHOLE)}\r\n\r\n"
    with pytest.raises((IndexError, ConnectionError)):
        site.send_raw(head.encode() + WHOLE[:-20])
    assert site.count() == before


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=other",
        "multipart/form-data; boundary=" + "b" * 71,
        "multipart/form-data; boundary=\x01",
        "multipart/form-data; boundary=--b",
        "multipart/form-data; " + "x=y; " * 5000,
    ],
)
def test_wrong_boundary_is_refused(site: Site, content_type: str) -> None:
    check_refusal(site.send("POST", "/files", WHOLE, {"Content-Type": content_type}), 400)


def parts(*heads: str) -> bytes:
    return b"".join(f"--b\r\n{head}\r\n\r\nx\r\n".encode() for head in heads) + b"--b--\r\n"


DISPOSITION = 'Content-Disposition: form-data; name="file"; filename="a.txt"'


@pytest.mark.parametrize(
    "body",
    [
        parts(DISPOSITION, DISPOSITION),
        parts(*[DISPOSITION] * 5000),
        parts(*['Content-Disposition: form-data; name="x"'] * 5000, DISPOSITION),
        parts('Content-Disposition: form-data; name="other"; filename="a.txt"'),
        parts('Content-Disposition: form-data; name="file"'),
        parts('Content-Disposition: form-data; name="file"; filename=""'),
        parts('Content-Disposition: form-data; name="file"; filename="  "'),
        parts("Content-Disposition: attachment"),
        parts("X-Nothing: x"),
        parts(DISPOSITION + "\r\nX-Long: " + "x" * 100_000),
        parts(DISPOSITION + "\r\nX: y" * 10_000),
        parts(DISPOSITION + "\r\nContent-Transfer-Encoding: base64\r\nno colon here"),
        form(b"x").replace(b"a.txt", b"\xff\xfe.txt"),
        form(b"x").replace(b'"file"', b'"\xff\xfe"'),
        b"--b\r\n\xff: \xfe\r\n\r\nx\r\n--b--\r\n",
        b"\x00" * 10_000,
        b"--b" * 10_000,
        b"--b\r\n" * 10_000,
        b"\r\n--b--\r\n",
        b"",
    ],
    ids=str,
)
def test_form_that_is_not_one_named_file_is_refused(site: Site, body: bytes) -> None:
    before = site.count()
    check_refusal(site.send("POST", "/files", body, FORM), 400)
    assert site.count() == before


@pytest.mark.parametrize(
    "filename",
    ["\x00", "a\x00b.txt", "..", "../../etc/passwd", "C:\\boot.ini", "/", "...", "\u202egpj.exe", "a" * 4000, "CON"],
)
def test_hostile_filename_becomes_a_harmless_one(site: Site, filename: str) -> None:
    answer = site.send("POST", "/files", form(b"x", filename=filename), FORM)
    if answer.status != 201:
        check_refusal(answer, 400)
        return
    name = answer.json["filename"]
    assert 1 <= len(name) <= 255
    assert not name.startswith(".")
    assert not set(name) & set('/\\"\r\n\x00\u202e')


# ---- JSON ------------------------------------------------------------------------------------------------------------
def json_operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and the schema of the body, of every operation that takes JSON."""
    document = json.loads((ROOT / "chalicelib" / "web" / "openapi.json").read_text(encoding="utf-8"))
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters" or "requestBody" not in operation:
                continue
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            named = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2])
            yield method.upper(), path, named or schema


JSON_TARGETS = [(method, path) for method, path, _ in json_operations()]
FIELDS = [(method, path, field) for method, path, schema in json_operations() for field in schema["properties"]]
ODD_VALUES = [
    b"null", b"true", b"-1", b"0.5", b"1e400", b"-0", b"1" * 400, b"9" * 5000, b"NaN", b"Infinity", b'""', b'" "',
    b'"\\u0000"', b'"a\\u0000b"', b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\ufeff"', b'"' + b"x" * 1_000_000 + b'"',
    b'"' + "\u00e9".encode() * 3000 + b'"', b"[]", b"[null]", b"[[]]", b"[1,1]", b'["",""]', b"{}", b'{"a":null}',
    b"[" + b"1," * 100_000 + b"1]", b"[" + b'"x",' * 100_000 + b'"x"]', b"[-1]", b"[0]", b"[10001]", b"[1e2]",
    b"[" + b"9" * 4000 + b"]", b'[{"part_number":1,"etag":null},{"PartNumber":true,"ETag":"x"}]',
    b'[{"part_number":1,"etag":"x"},{"part_number":1,"etag":"x"}]', b'{"size":[]}', b'{"size":-1}',
    # Composing these takes time with the square of their number: two minutes.
    b'"a' + "\u0301\u0316".encode() * 150_000 + b'.txt"',
]  # fmt: skip
MENDED = {"filename": b'"a.txt"', "size": b"1", "username": b'"admin"', "password": b'"x"', "parts": b"[]"}
MENDED |= {"name": b'"robot"', "scopes": b'["files:read"]', "old_secret_seconds": b"0", "key": b'"sr_x"'}
MENDED |= {"current_password": b'"x"', "new_password": b'"entirely-new"'}
MENDED |= {"role": b'"member"'}


def concrete(site: Site, path: str, file_id: str, key_id: str = "k") -> str:
    """The path with an id that exists where it wants a file's or a key's, so that the body is looked at."""
    ids = {"file_id": file_id, "key_id": key_id, "user_id": site.user_id, "upload_id": "u", "ticket": "t"}
    ids |= {"webhook_id": "w", "delivery_id": "1"}
    return path.format(**ids)


@pytest.mark.parametrize(("method", "path", "field"), FIELDS)
def test_odd_value_of_any_field_is_never_an_error_of_ours(site: Site, method: str, path: str, field: str) -> None:
    target = concrete(site, path, site.upload(), site.make_key()["id"] if "{key_id}" in path else "")
    for value in ODD_VALUES:
        others = b"".join(b',"%s":%s' % (name.encode(), good) for name, good in MENDED.items() if name != field)
        answer = site.send_json(method, target, b'{"%s":%s%s}' % (field.encode(), value, others))
        if answer.status >= 400:
            check_refusal(answer, 400, 401, 404, 409, 413, 422)
        else:
            assert answer.status in (200, 201, 204), value[:50]


@pytest.mark.parametrize(("method", "path"), JSON_TARGETS)
@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"}", b"null", b"true", b"1", b'"x"', b"[]", b"\x00", b"\xff\xfe{\x00}\x00", b"{'a':1}",
        b'{"a":1}{"b":2}', b'{"username":"\xff","password":"\xc3("}', b"[" * 200_000, b'{"a":' * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000, b"9" * 100_000, b"-" * 100_000, b'"\\u' * 1000,
        b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]><x>&y;</x>",
        b"username=admin&password=password",
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_body_that_is_no_json_object_is_refused(site: Site, method: str, path: str, body: bytes) -> None:
    if path.endswith("/complete") and path.startswith("/files") and not body:
        return  # There the body may be left out.
    answer = site.send_json(method, concrete(site, path, NOBODY), body)
    # What is unknown is so before anything is said about the body; the user that is named is oneself.
    names_unknown = "{" in path.replace("{user_id}", "")
    check_refusal(answer, 401 if "{ticket}" in path else 404 if names_unknown else 400)


def test_repeated_key_counts_once(site: Site) -> None:
    body = b'{"username":"admin","username":"nobody","password":"password","password":"wrong"}'
    check_refusal(site.send_json("POST", "/auth/login", body), 401)


# ---- queries ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("parameter", ["limit", "offset", "cursor", "status", "mime_type"])
@pytest.mark.parametrize(
    "value",
    ["", "%00", "-1", "1.0", "1e3", "0x10", "+1", "%2B1", "1" * 19, "1" * 4000, "%D9%A3", "%EF%BC%91", "NaN", "null",
     "true", "%FF", "%C3%28", "%ED%A0%80", "a%0D%0ASet-Cookie:x=y", "..%2F..", "'%20OR%201=1--", "%7B%7D", "%25s%25n",
     "A" * 43, "-" * 43, "A" * 43 + "%3D", "pending%00", "text/plain%0A", "text/*", "*/*", "1&{p}=2", "&{p}"],
)  # fmt: skip
def test_odd_query_is_refused_by_name(site: Site, parameter: str, value: str) -> None:
    answer = site.send("GET", f"/files?{parameter}={value.replace('{p}', parameter)}")
    check_refusal(answer, 400)


@pytest.mark.parametrize(
    "query", ["?", "?&", "?=", "?=&=", "?%", "?%zz=1", "?unknown=1", "?" + "a=1&" * 5000, "?limit=1;x"]
)
def test_query_that_means_nothing_does_no_harm(site: Site, query: str) -> None:
    answer = site.send("GET", f"/files{query}")
    if answer.status != 200:
        check_refusal(answer, 400, 414)


# ---- paths -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "target",
    [
        "/files/{id}%00", "/files/{id}%0A", "/files/ {id}", "/files/{ID}", "/files/{id}%2Fcontent", "/files//{id}",
        "/files/.", "/files/..", "/files/%2e%2e", "/files/%2e%2e%2fauth%2fme", "/files/../auth/me", "/./files",
        "/files/%FF", "/files/%C3%28", "/files/%ED%A0%80", "/files/\xe9", "/files/*", "/files/{{id}}",
        "/files/" + "a" * 4000, "/files/" + "%41" * 4000, "/" * 4000 + "nothing", "/files%20", "/FILES", "\\files",
        "/files/removed%23{id}", "/files/{id}%23pending", "/t/%00/s3/params?filename=a", "/t/../files",
        "/t/{token}/files", "/files/{id}/../..", "/files/0", "/files/-1", "/files/null",
    ],
)  # fmt: skip
def test_odd_path_leads_nowhere(site: Site, target: str) -> None:
    file_id = site.upload()
    target = target.replace("{id}", file_id).replace("{ID}", file_id.upper()).replace("{token}", site.token)
    check_refusal(site.send("GET", target), 400, 401, 404)


def test_path_of_100_kb_is_refused(site: Site) -> None:
    check_refusal(site.send("GET", "/files/" + "a" * 100_000), 414)


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH"])
def test_file_of_a_stranger_stays_unknown_whatever_is_put_around_its_id(site: Site, method: str) -> None:
    file_id = site.upload()
    for target in (file_id, file_id + "?organization_id=x", f"{file_id}?key={file_id}", f"{file_id}#x"):
        answer = site.send_json(method, f"/files/{target}", {"filename": "x"}, token=site.foreign_token)
        check_refusal(answer, 404)
    assert site.send("GET", f"/files/{file_id}").status == 200


# ---- headers ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "name",
    ["Authorization", "Cookie", "Content-Type", "Origin", "Host", "X-Forwarded-For", "Accept", "User-Agent", "X"],
)
def test_header_of_100_kb_is_refused(site: Site, name: str) -> None:
    check_refusal(site.send("GET", "/auth/me", headers={name: "x" * 100_000}), 431)


def test_thousands_of_headers_are_refused(site: Site) -> None:
    check_refusal(site.send("GET", "/auth/me", headers={f"X-{number}": "x" for number in range(5000)}), 431)


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "bearer  x", "Basic YTpi", "Bearer " + "A" * 43, "Bearer " + "A" * 5000, "Bearer \xff",
     "Bearer a b c", "Bearer ../..", "Bearer\t{token}", "Digest {token}", "{token}", "Bearer {token}, Bearer {token}",
     "Bearer {token}x", 'Bearer "{token}"', "Bearer null", "Bearer undefined"],
)  # fmt: skip
def test_odd_authorization_signs_nobody_in(site: Site, value: str) -> None:
    answer = site.send("GET", "/auth/me", headers={"Authorization": value.replace("{token}", site.token)})
    check_refusal(answer, 401)


@pytest.mark.parametrize(
    "value",
    ["Bearer {key}x", "Bearer {key} x", "Bearer sr_", "Bearer sr_" + "A" * 5000, "Bearer SR_{rest}", "Bearer sr-{rest}",
     "Bearer \xe9sr_{rest}", "Bearer sr_\xe9{rest}", "Basic {key}", "{key}", "Bearer {key}, Bearer {key}",
     "Bearer {short}"],
)  # fmt: skip
def test_odd_spelling_of_a_key_signs_nobody_in(site: Site, value: str) -> None:
    key = site.make_key()
    texts = {"key": key["key"], "rest": key["key"][3:], "short": key["key"][:43]}
    for name, text in texts.items():
        value = value.replace(f"{{{name}}}", text)
    check_refusal(site.send("GET", "/auth/me", headers={"Authorization": value}), 401)
    site.send("DELETE", f"/api-keys/{key['id']}")


@pytest.mark.parametrize(
    "value",
    ["session=", "session", "=x", ";;;", "session=\xff", "session=" + "A" * 5000, "a=" * 5000, 'session="x',
     "$Version=1", "__Host-session={token}", "session =x", "SESSION={token}", "x=session={token}"],
)  # fmt: skip
def test_odd_cookie_signs_nobody_in(site: Site, value: str) -> None:
    headers = {"Authorization": "", "Cookie": value.replace("{token}", site.token)}
    check_refusal(site.send("GET", "/auth/me", headers=headers), 401)


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_method_override_is_not_followed(site: Site, name: str, method: str) -> None:
    file_id = site.upload()
    answer = site.send(method, f"/files/{file_id}?_method=DELETE", headers={name: "DELETE"})
    assert answer.status == (200 if method == "GET" else 405)
    assert site.send("GET", f"/files/{file_id}").status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Original-URL": "/health"}, {"X-Rewrite-URL": "/health"}, {"X-Forwarded-Prefix": "/../.."},
        {"X-Forwarded-Host": "evil.example"}, {"Forwarded": "for=127.0.0.1;host=evil.example"},
        {"Accept-Encoding": "gzip, identity;q=0"}, {"Range": "bytes=0-0,-1"},
        {"If-None-Match": "*"}, {"If-Match": '"x"'}, {"Content-Encoding": "gzip"}, {"Transfer": "chunked"},
        {"Content-Type": "\xff"}, {"Content-Type": ";;;"}, {"Accept-Language": "../../etc"}, {"Max-Forwards": "0"},
    ],
    ids=str,
)  # fmt: skip
def test_header_that_is_none_of_our_business_changes_nothing(site: Site, headers: dict[str, str]) -> None:
    answer = site.send("GET", "/auth/me", headers=headers)
    assert answer.status == 200
    assert b"evil" not in answer.body + repr(answer.headers).encode()


# ---- HTTP itself -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("request_bytes", "statuses"),
    [
        (b"GET http://evil.example/auth/me HTTP/1.1\r\nHost: localhost\r\n\r\n", (401, 404)),
        (b"GET /auth/me HTTP/1.1\r\nHost: localhost\r\nHost: y\r\n\r\n", (421,)),
        (b"GET /auth/me HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", (421,)),
        (b"GET /auth/me HTTP/9.9\r\nHost: localhost\r\n\r\n", (400, 505)),
        (b"GET  /auth/me  HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 401)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,)),
        (b"GET\x00 /auth/me HTTP/1.1\r\nHost: localhost\r\n\r\n", (400, 404, 405)),
        (
            b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            (411,),
        ),
        (b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\nhello", (400,)),
        (b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5, 5\r\n\r\nhello", (400,)),
        (b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", (400,)),
        (b"GET /auth/me HTTP/1.1\r\nHost: localhost\r\n folded: header\r\n\r\n", (400,)),
        (b"GET /auth/me HTTP/1.1\r\nHost: localhost\r\nAccept: text/html, \x00\r\n\r\n", (400,)),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", (404, 405)),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", (204, 404)),
    ],
)
def test_odd_http_is_answered_in_the_contracts_shape(
    site: Site, request_bytes: bytes, statuses: tuple[int, ...]
) -> None:
    # Without keeping the connection, so that the answer ends with it.
    answer = site.send_raw(request_bytes.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    assert answer.status in statuses, answer
    if answer.status >= 400:
        check_refusal(answer, *statuses)


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length : 23",
        b"Content-Length\t: 23",
        b"No colon at all",
        b"From x",
        b"From nobody: x",
        b": no name",
        b"N\xc3\xa4me: x",
        b"a b: c",
        b" x: y",
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_header_line_that_is_none_ends_the_connection(site: Site, line: bytes, is_first: bool) -> None:
    """To another reader of the same bytes, what follows could be the body or the next request."""
    lines = [line, b"Host: localhost"] if is_first else [b"Host: localhost", line]
    hidden = b"GET /health HTTP/1.1\r\n\r\n"
    answer = site.send_raw(b"\r\n".join([b"POST /auth/login HTTP/1.1", *lines, b"", hidden]))
    check_refusal(answer, 400)
    assert answer.body.count(b"request_id") == 1


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "x@localhost", ""]
)
@pytest.mark.parametrize("path", ["/", "/health", "/auth/login"])
def test_name_that_is_not_this_machines_is_refused(site: Site, host: str, path: str) -> None:
    """A page whose own name was made to lead to this machine would otherwise read what this server answers."""
    check_refusal(site.send("GET", path, headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:1", "[::1]:8000"])
def test_names_of_this_machine_are_served(site: Site, host: str) -> None:
    assert site.send("GET", "/auth/me", headers={"Host": host}).status == 200
