"""A page that has nothing to do with the stack, open in the same browser: it gets nothing, and changes nothing."""

from __future__ import annotations

import base64
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra.local.emulator import endpoint
from infra.local.processes import HOST
from tests.browser.conftest import REBOUND_NAME, Visit
from tests.integration.conftest import Machine, Running

#: In the address, so that nothing of the request would make a browser ask first.
ROOT_KEY = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=test%2F20260101%2Fus-east-1%2Flambda%2Faws4_request"
FUNCTIONS = "/2015-03-31/functions"
#: Sends a request in each way that pages have; "opaque" is one that went out and whose answer can't be read.
SEND = """async ([url, method, body, type]) => {
    const outcomes = [];
    for (const mode of ["cors", "no-cors"]) {
        try {
            const answer = await fetch(url, {
                method, mode, body: body ?? undefined, headers: type ? { "Content-Type": type } : {},
            });
            outcomes.push(answer.type === "opaque" ? "opaque" : `${answer.status} ${await answer.text()}`);
        } catch (error) {
            outcomes.push("refused");
        }
    }
    return outcomes;
}"""


@pytest.fixture
def foreign(visit: Visit) -> Iterator[Visit]:
    """At a page of another port of this machine: the same site to a browser, another origin."""
    server = ThreadingHTTPServer((HOST, 0), _Page)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    visit.page.goto(f"http://{HOST}:{server.server_address[1]}/")
    yield visit
    server.shutdown()
    server.server_close()


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<!doctype html><title>A page</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests say what went wrong."""


def send(
    visit: Visit, machine: Machine, method: str, path: str, body: str | None = None, content_type: str | None = None
) -> list[str]:
    url = endpoint(machine.aws_port) + path
    outcomes: list[str] = visit.page.evaluate(SEND, [url, method, body, content_type])
    return outcomes


def function_body() -> str:
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


@pytest.mark.parametrize("query", ["", f"?{ROOT_KEY}"], ids=["unsigned", "key that is not checked"])
def test_page_of_another_origin_makes_no_function(foreign: Visit, machine: Machine, query: str) -> None:
    outcomes = send(foreign, machine, "POST", FUNCTIONS + query, function_body(), "text/plain")
    outcomes += send(foreign, machine, "POST", f"{FUNCTIONS}/ran/invocations{query}", "{}", "text/plain")
    assert set(outcomes) <= {"refused", "opaque"}
    assert machine.client("lambda").list_functions()["Functions"] == []


@pytest.mark.parametrize("query", ["", f"?{ROOT_KEY}"], ids=["unsigned", "key that is not checked"])
def test_page_of_another_origin_reads_nothing(foreign: Visit, machine: Machine, query: str) -> None:
    bucket = machine.environment["PERMANENT_BUCKET"]
    for path in ("/", f"/{bucket}", f"/{bucket}/x", "/_ministack/health", FUNCTIONS):
        assert set(send(foreign, machine, "GET", path + query)) <= {"refused", "opaque"}


def test_page_of_another_origin_resets_nothing(foreign: Visit, machine: Machine) -> None:
    assert set(send(foreign, machine, "POST", "/_ministack/reset", "", "text/plain")) <= {"refused", "opaque"}
    assert foreign.tenant.client.get("/auth/me").status_code == 200


def test_page_whose_name_leads_to_this_machine_reads_nothing(visit: Visit, running: Running) -> None:
    """DNS rebinding: to the browser it is one origin with what it talks to, so no rule of origins protects."""
    api, aws = running.base_url.rpartition(":")[2], running.machine.aws_port
    for port, path, status in ((api, "/", 421), (api, "/health", 421), (aws, "/_ministack/health", 403)):
        answer = visit.page.goto(f"http://{REBOUND_NAME}:{port}{path}")
        assert answer is not None
        assert answer.status == status
