"""CPU of the application's processes for each operation: the plain application of benchmarks/plain, ours as `make up`
runs it, and the Chalice application object called with a gateway's event, as Lambda calls it.

The emulator's own CPU is not counted, as AWS would have that; SQLite's is, as it is in the plain application's process.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import listing
from benchmarks.processes import cpu_ms, peak_of
from benchmarks.served import PASSWORD, Served, form_of, our_app, plain_app, wait_until_completed
from benchmarks.table import show
from chalicelib import wiring
from chalicelib.kernel import config
from chalicelib.kernel.caller import Caller
from infra.local.lambda_events import LambdaContext, lambda_event

SMALL = 10_000
LARGE = 45 * 1024 * 1024
CLIENTS = 8
#: Enough that no list ends early.
FILES = 1_000
USERNAME = "bench"
PLAIN, OURS, OBJECT = "plain app", "ours, make up", "app object"
#: CPU ms of the application object, as was set out to be reached. What is None has no goal of its own.
READS: tuple[tuple[str, str, float | None], ...] = (
    ("GET /auth/me", "/auth/me", 1.0),
    ("GET /files/{id}", "/files/{id}", 1.5),
    ("GET /files?limit=20", "/files?limit=20", 3),
    ("GET /files?limit=100", "/files?limit=100", 6),
    ("GET /files?offset=600", "/files?limit=20&offset=600", 4),
    ("GET /files/{id}/content", "/files/{id}/content", 2),
)
POST, PROCESS = "POST /files, 10 KB form", "processing 10 KB, per file"
RATE, MEMORY = "10 KB to completed, 8 clients, a second", "web processes at 8 x 45 MB forms, MB"
GOALS: dict[str, float | None] = {name: goal for name, _, goal in READS} | {POST: 4, PROCESS: 6, RATE: 60, MEMORY: 200}

Column = dict[str, float]


def measure(*, quick: bool) -> list[dict[str, Any]]:
    rounds = 40 if quick else 200
    columns: dict[str, Column] = {OBJECT: {}, OURS: {}, PLAIN: {}}
    caller = _our_user()
    listing._fill(caller, FILES)
    with ExitStack() as stack:
        with _logging_as_on_lambda():
            columns[OBJECT] = AppObject(caller).measure(rounds)
        with our_app({**os.environ, "LOG_LEVEL": "INFO", "LOG_FORMAT": "text"}, USERNAME) as served:
            columns[OURS] = _measure(served, rounds, quick)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with plain_app(folder, os.environ["CACHE_URL"].removesuffix("/0") + "/1", FILES) as served:
            columns[PLAIN] = _measure(served, rounds, quick)
    rows = [
        {"operation": name, **{side: columns[side].get(name) for side in (PLAIN, OURS, OBJECT)}, "goal": goal}
        for name, goal in GOALS.items()
    ]
    show(
        ["CPU ms of the application's processes", PLAIN, OURS, OBJECT, "goal"],
        [["-" if cell is None else cell for cell in row.values()] for row in rows],
    )
    return rows


@contextmanager
def _logging_as_on_lambda() -> Iterator[None]:
    """Each line is made and written, as it is there, but nobody has to read them."""
    before = os.environ["LOG_LEVEL"]
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        for level, form in (("INFO", "json"), (before, "text")):
            os.environ.update(LOG_LEVEL=level, LOG_FORMAT=form)
            config.settings.cache_clear()
            wiring.install(None)
            if form == "json":
                yield


def _our_user() -> Caller:
    from chalicelib.accounts import users as accounts
    from chalicelib.tenants import organizations as tenants
    from chalicelib.wiring import stores

    organization = tenants.create_organization(stores(), "Comparison", quota_files=10**9)
    user = accounts.create_user(stores(), organization.organization_id, USERNAME, PASSWORD)
    return Caller(organization.organization_id, user.user_id, USERNAME)


def _measure(served: Served, rounds: int, quick: bool) -> Column:
    caller, found = served.caller(), {}
    body, content_type = form_of(os.urandom(SMALL))

    def upload() -> str:
        return str(caller.ask("POST", "/files", body, content_type).json["id"])

    done = upload()
    wait_until_completed(caller, [done])
    for name, path, _ in READS:
        # The plain application sends the bytes of a file itself, so that row is not the same work.
        if served.name == PLAIN and name.endswith("/content"):
            continue
        found[name] = _each(served.web, rounds, partial(caller.ask, "GET", path.replace("{id}", done)))
    uploaded: list[str] = []
    found[POST] = _each(served.web, rounds, lambda: uploaded.append(upload()))
    wait_until_completed(caller, uploaded)
    found[RATE], found[PROCESS] = _many(served, 80 if quick else 400)
    found[MEMORY] = _large(served, 8 * 1024 * 1024 if quick else LARGE)
    return found


def _each(session: int, rounds: int, act: Callable[[], Any]) -> float:
    for _ in range(5):
        act()
    started = cpu_ms(session)
    for _ in range(rounds):
        act()
    return round((cpu_ms(session) - started) / rounds, 2)


def _many(served: Served, count: int) -> tuple[float, float]:
    """Uploads of eight clients at once: completed files a second, and CPU of the worker for each."""

    def client() -> None:
        caller, uploaded = served.caller(), []
        for _ in range(count // CLIENTS):
            uploaded.append(caller.ask("POST", "/files", *form_of(os.urandom(SMALL))).json["id"])
        wait_until_completed(caller, uploaded)

    cpu, began = cpu_ms(served.worker), time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        for done in [pool.submit(client) for _ in range(CLIENTS)]:
            done.result()
    seconds = time.perf_counter() - began
    return round(count / seconds, 1), round((cpu_ms(served.worker) - cpu) / count, 2)


def _large(served: Served, size_bytes: int) -> float:
    body, content_type = form_of(bytes(size_bytes))
    together = threading.Barrier(CLIENTS)

    def client() -> str:
        caller = served.caller()
        together.wait()
        answer = caller.ask("POST", "/files", body, content_type)
        assert answer.status == 201, answer.body
        return str(answer.json["id"])

    with peak_of(served.web) as peak, ThreadPoolExecutor(CLIENTS) as pool:
        uploaded = [done.result() for done in [pool.submit(client) for _ in range(CLIENTS)]]
    wait_until_completed(served.caller(), uploaded)
    return round(peak[0] / 1e6)


class AppObject:
    """The application called in this process with the events that a gateway and a queue make."""

    def __init__(self, caller: Caller) -> None:
        import app

        self._app: Any = app
        self._caller = caller
        credentials = {"username": USERNAME, "password": PASSWORD}
        answer = self._call("POST", "/auth/login", json.dumps(credentials).encode(), "application/json")
        cookie: str = answer["multiValueHeaders"]["Set-Cookie"][0]
        self._token = cookie.partition("=")[2].partition(";")[0]

    def measure(self, rounds: int) -> Column:
        found: Column = {}
        file_id = self._upload()
        self._process(file_id)
        for name, path, _ in READS:
            found[name] = self._each(rounds, partial(self._call, "GET", path.replace("{id}", file_id)))
        waiting: list[str] = []
        found[POST] = self._each(rounds, lambda: waiting.append(self._upload()))
        found[PROCESS] = self._each(min(rounds, len(waiting) - 5), lambda: self._process(waiting.pop()))
        return found

    def _each(self, rounds: int, act: Callable[[], Any]) -> float:
        for _ in range(5):
            act()
        started = time.process_time()
        for _ in range(rounds):
            act()
        return round((time.process_time() - started) * 1000 / rounds, 2)

    def _upload(self) -> str:
        body, content_type = form_of(os.urandom(SMALL))
        return str(json.loads(self._call("POST", "/files", body, content_type)["body"])["id"])

    def _process(self, file_id: str) -> None:
        from chalicelib import keys

        key = keys.temp_key(self._caller.organization_id, file_id)
        record = {
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": os.environ["TEMP_BUCKET"]}, "object": {"key": key}},
        }
        message: dict[str, Any] = {"MessageId": file_id, "ReceiptHandle": "-", "MD5OfBody": "-"}
        message |= {"Body": json.dumps({"Records": [record]}), "Attributes": {"ApproximateReceiveCount": "1"}}
        event = lambda_event("arn:aws:sqs:us-east-1:000000000000:uploads", "us-east-1", [message])
        assert self._app.process_uploads(event, LambdaContext(file_id)) == {"batchItemFailures": []}

    def _call(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> Any:
        bare, _, query = path.partition("?")
        parts = bare.split("/")
        one_file = parts[1] == "files" and len(parts) > 2
        resource = "/".join(["/files/{file_id}", *parts[3:]]) if one_file else bare
        headers = {"host": "api.example.com", "user-agent": "curl/8", "x-forwarded-for": "203.0.113.1"}
        if path != "/auth/login":
            headers["authorization"] = f"Bearer {self._token}"
        if content_type:
            headers["content-type"] = content_type
        values = {name: [value] for name, value in (pair.split("=") for pair in query.split("&") if pair)}
        event = {
            "requestContext": {
                "resourcePath": resource,
                "httpMethod": method,
                "path": bare,
                "requestId": "00000000-0000-0000-0000-000000000000",
                "identity": {"sourceIp": "203.0.113.1"},
            },
            "headers": headers,
            "multiValueQueryStringParameters": values or None,
            "pathParameters": {"file_id": parts[2]} if one_file else {},
            "stageVariables": None,
            "body": base64.b64encode(body).decode() if body is not None else None,
            "isBase64Encoded": body is not None,
        }
        answer = self._app.app(event, LambdaContext("request"))
        assert answer["statusCode"] < 400, answer
        return answer
