"""How many AWS calls each operation makes, and how much CPU of the application's process it takes.

The numbers of calls are also a test (tests/unit/http/test_aws_calls.py); here they stand beside their CPU time.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.table import show
from tests import aws_calls

REPEATS = 15


def measure(*, quick: bool) -> list[dict[str, Any]]:
    aws_calls.listen_to_all_clients()
    from chalice.test import Client

    import app
    from chalicelib.accounts import users as accounts
    from chalicelib.processing.processing import process_upload
    from chalicelib.tenants import organizations as tenants
    from chalicelib.wiring import stores

    organization = tenants.create_organization(stores(), "Benchmark")
    accounts.create_user(stores(), organization.organization_id, "bench", "benchmark password")
    rows: list[dict[str, Any]] = []
    with Client(app.app) as client:
        credentials = json.dumps({"username": "bench", "password": "benchmark password"}).encode()
        as_json = {"Content-Type": "application/json"}
        login = client.http.post("/auth/login", headers=as_json, body=credentials)
        # The session's, then that of the device.
        cookie: str = login.headers["Set-Cookie"][0]
        session = {"Authorization": "Bearer " + cookie.partition("=")[2].partition(";")[0]}
        form = _form(b"x" * 100_000)
        form_headers = {**session, "Content-Type": "multipart/form-data; boundary=b"}

        def upload() -> str:
            return str(json.loads(client.http.post("/files", headers=form_headers, body=form).body)["id"])

        def processed() -> str:
            file_id = upload()
            process_upload(stores(), f"{organization.organization_id}/{file_id}", "bench")
            return file_id

        def in_parts(metadata: dict[str, int]) -> tuple[str, str]:
            body = json.dumps({"filename": "a.bin", "type": "x/y", "metadata": metadata}).encode()
            created = json.loads(client.http.post("/s3/multipart", headers={**session, **as_json}, body=body).body)
            return f"/s3/multipart/{created['uploadId']}/1", created["key"]

        done = processed()
        waiting = iter([upload() for _ in range(REPEATS + 1)])
        doomed = iter([processed() for _ in range(REPEATS + 1)])
        known, key_of_known = in_parts({"size": 200_000_000})
        unknown, key_of_unknown = in_parts({})
        announced = json.dumps({"filename": "a.bin", "size": 1000}).encode()
        operations: list[tuple[str, Callable[[], Any]]] = [
            (
                "POST /auth/login (bcrypt 12)",
                lambda: client.http.post("/auth/login", headers=as_json, body=credentials),
            ),
            ("GET /auth/me", lambda: client.http.get("/auth/me", headers=session)),
            ("GET /files", lambda: client.http.get("/files", headers=session)),
            ("GET /files?status=completed", lambda: client.http.get("/files?status=completed", headers=session)),
            ("GET /files/{id}", lambda: client.http.get(f"/files/{done}", headers=session)),
            ("GET /files/{id}/content", lambda: client.http.get(f"/files/{done}/content", headers=session)),
            ("POST /files, form of 100 kB", upload),
            (
                "POST /files, straight to S3",
                lambda: client.http.post("/files", headers={**session, **as_json}, body=announced),
            ),
            (
                "sign a part, size known",
                lambda: client.http.get(f"{known}?key={key_of_known}", headers=session),
            ),
            (
                "sign a part, size unknown",
                lambda: client.http.get(f"{unknown}?key={key_of_unknown}", headers=session),
            ),
            ("GET /usage", lambda: client.http.get("/usage", headers=session)),
            (
                "process one upload",
                lambda: process_upload(stores(), f"{organization.organization_id}/{next(waiting)}", "bench"),
            ),
            ("DELETE /files/{id}", lambda: client.http.delete(f"/files/{next(doomed)}", headers=session)),
        ]
        for name, operation in operations:
            with aws_calls.aws_calls() as made:
                operation()
            milliseconds = []
            for _ in range(REPEATS):
                started = time.process_time()
                operation()
                milliseconds.append((time.process_time() - started) * 1000)
            rows.append(
                {"operation": name, "aws_calls": len(made), "cpu_ms_median": round(statistics.median(milliseconds), 1)}
            )
    show(["operation", "AWS calls", "CPU ms"], [list(row.values()) for row in rows])
    return rows


def _form(content: bytes) -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    return head + content + b"\r\n--b--\r\n"
