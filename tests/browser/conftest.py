"""A Chromium, pages of another origin than the API's, and the stack of the integration tests behind them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from infra.local.processes import HOST, free_port
from tests.browser import environment
from tests.integration.conftest import (  # noqa: F401 (fixtures)
    PASSWORD,
    PATIENCE_SECONDS,
    Running,
    Tenant,
    api_port,
    await_condition,
    machine,
    running,
    stores,
    tenant,
)

PATIENCE_MILLISECONDS = 120_000
#: This machine as well, but to a browser another site than its address: no cookie goes there.
OTHER_SITE = "localhost"
#: Of a page that an attacker's name server leads to this machine.
REBOUND_NAME = "evil.example"
#: Nothing is fetched from anywhere; a test machine may have no way out.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    f"--host-resolver-rules=MAP {REBOUND_NAME} {HOST}",
)


@pytest.fixture(scope="session")
def page_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def limited_port() -> int:
    """Of an API where few uploads may start at a time."""
    return free_port()


@pytest.fixture(scope="session")
def page_origins(page_port: int, api_port: int, limited_port: int) -> list[str]:  # noqa: F811
    """Another origin of the same site, so that cookies go along; the APIs' own; and one of another site."""
    own = [f"http://{HOST}:{port}" for port in (page_port, api_port, limited_port)]
    return [*own, f"http://{OTHER_SITE}:{page_port}"]


@pytest.fixture(scope="session")
def pages(page_port: int, api_port: int) -> Iterator[str]:  # noqa: F811
    """The address of the pages, on another origin than the API."""
    environment.prepare()
    handler = functools.partial(
        _PagesAndApi, api=f"http://{HOST}:{api_port}", directory=str(environment.BUILD / "pages")
    )
    server = ThreadingHTTPServer((HOST, page_port), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://{HOST}:{page_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser(pages: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=environment.find_chromium(),
            env={**environment.chromium_environment()},
            args=list(ARGUMENTS),
        )
        yield launched
        launched.close()


@dataclass
class Visit:
    """A person at a page: signed in, and everything that the page sends written down."""

    page: Page
    base_url: str
    tenant: Tenant
    requests: list[Request] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def sign_in(self) -> None:
        """By the page's own script, as an application would."""
        status = self.page.evaluate(
            """async ([api, username, password]) => (await fetch(`${api}/auth/login`, {
                method: "POST",
                credentials: "include",
                headers: { "Content-Type": "application/json" },
                body: JSON.stringify({ username, password }),
            })).status""",
            [self.base_url, self.tenant.username, PASSWORD],
        )
        assert status == 200

    def draw_ticket(self) -> str:
        """:returns: an endpoint for Uppy that needs no session."""
        base_path = self.page.evaluate(
            """async (api) => (await (await fetch(`${api}/auth/ticket`, {
                method: "POST", credentials: "include",
            })).json()).base_path""",
            self.base_url,
        )
        return f"{self.base_url}{base_path}"

    def open_uppy(self, endpoint: str, keep_across_reloads: bool = False, **options: Any) -> None:
        self.page.wait_for_function("window.ready")
        self.page.evaluate(
            "([endpoint, keepAcrossReloads, options]) => openUppy({ endpoint, keepAcrossReloads, options })",
            [endpoint, keep_across_reloads, options],
        )

    def choose(self, *files: Any) -> None:
        self.page.set_input_files("#files", files)
        self.page.wait_for_function("count => uppy.getFiles().length === count", arg=len(files))

    def start_upload(self) -> None:
        self.page.evaluate("() => { uppy.upload() }")

    def await_said(self, name: str, count: int = 1) -> list[Any]:
        """The values of an event of Uppy's, once it has come so many times."""
        self.page.wait_for_function(
            "([name, count]) => said.filter(([said]) => said === name).length >= count",
            arg=[name, count],
            timeout=PATIENCE_MILLISECONDS,
        )
        return [values for said, *values in self.page.evaluate("() => said") if said == name]

    def await_uploaded(self) -> str:
        """:returns: the file's id, read off the key as a page would."""
        self.page.wait_for_function(
            "() => said.some(([name]) => name === 'upload-success' || name === 'upload-error')",
            timeout=PATIENCE_MILLISECONDS,
        )
        said = self.page.evaluate("() => said")
        assert [values for name, *values in said if name == "upload-error"] == [], self.complaints
        answer = next(values[1] for name, *values in said if name == "upload-success")
        key = answer["body"]["key"]
        organization_id, _, file_id = key.partition("/")
        assert organization_id == self.tenant.organization_id
        return str(file_id)

    def await_settled(self, file_id: str) -> dict[str, Any]:
        """The details of a file that is completed or failed; the emulator answers nobody while it copies gigabytes."""

        def settled() -> dict[str, Any] | None:
            answer = self.tenant.client.get(f"/files/{file_id}")
            details: dict[str, Any] = answer.json()
            assert answer.status_code in (200, 503), details
            return details if details.get("status") in ("completed", "failed") else None

        found: dict[str, Any] = await_condition(settled, f"the end of processing {file_id}", 2 * PATIENCE_SECONDS)
        return found

    def throttle(self, bytes_per_second: int) -> None:
        """A connection slow enough to do something in the middle of an upload; 0 for as fast as it goes."""
        conditions = {"offline": False, "latency": 0, "downloadThroughput": -1}
        session = self.page.context.new_cdp_session(self.page)
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", {**conditions, "uploadThroughput": bytes_per_second or -1})

    def sent(self, method: str, part: str) -> list[Request]:
        """Requests whose address has a certain part in it."""
        return [request for request in self.requests if request.method == method and part in request.url]

    def parts_that_arrived(self) -> list[int]:
        """The number of each part that storage took, in the order of sending."""
        taken = []
        for request in self.sent("PUT", "partNumber="):
            answer = request.response() if request.failure is None else None
            if answer is not None and answer.ok:
                taken.append(number_of(request))
        return taken


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    made.set_default_timeout(PATIENCE_MILLISECONDS)
    yield made
    made.close()


@pytest.fixture
def visit(context: BrowserContext, running: Running, tenant: Tenant) -> Visit:  # noqa: F811
    made = Visit(context.new_page(), running.base_url, tenant)
    made.page.on("request", lambda request: made.requests.append(request))
    made.page.on("console", lambda said: made.complaints.append(said.text) if said.type == "error" else None)
    made.page.on("pageerror", lambda error: made.complaints.append(str(error)))
    return made


def number_of(request: Request) -> int:
    """Of the part that a request to storage carries."""
    return int(request.url.partition("partNumber=")[2].partition("&")[0])


class _PagesAndApi(SimpleHTTPRequestHandler):
    """The pages; and under the same name the API, as a CDN would have it."""

    def __init__(self, *arguments: Any, api: str, **options: Any) -> None:
        self._api = api
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        if self.path.startswith(tuple(f"/{line}/" for line in environment.LINES)):
            return super().do_GET()
        return self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = httpx.request(self.command, self._api + self.path, headers=dict(self.headers), content=body)
        self.send_response(answer.status_code)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)

    do_POST = do_DELETE = _pass_on

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests say what went wrong."""
