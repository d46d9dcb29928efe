"""What a new process pays before its first answer: imports and the first request, beside the least that Chalice and one
DynamoDB client can do. Also the size of the deployment package.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.table import show

ROOT = Path(__file__).resolve().parents[1]
RUNS = 9

BARE = """
import time; started = time.process_time(); wall = time.perf_counter()
import boto3
from chalice import Chalice
app = Chalice(app_name="bare")
client = []
@app.route("/")
def index():
    if not client:
        client.append(boto3.client("dynamodb"))
    return {"found": "Item" in client[0].get_item(TableName="%(table)s", Key={"token_hash": {"S": "x"}})}
"""
OURS = """
import time; started = time.process_time(); wall = time.perf_counter()
from app import app
"""
REQUEST = """
imported = time.process_time()
event = {
    "requestContext": {"resourcePath": "%(path)s", "httpMethod": "GET", "requestId": "x",
                       "identity": {"sourceIp": "203.0.113.1"}},
    "headers": {"authorization": "Bearer nobody"}, "multiValueQueryStringParameters": None, "pathParameters": {},
    "stageVariables": None, "body": None, "isBase64Encoded": False,
}
class Context:
    aws_request_id = "x"
status = app(event, Context())["statusCode"]
assert status == %(status)s, status
print((imported - started) * 1000, (time.process_time() - started) * 1000, (time.perf_counter() - wall) * 1000)
"""


def measure(*, quick: bool) -> dict[str, Any]:
    table = os.environ["TABLE_PREFIX"] + "-sessions"
    programs = {
        "bare Chalice + one DynamoDB client": BARE % {"table": table} + REQUEST % {"path": "/", "status": 200},
        # A request with an unknown token: it reads the session's table and counts in Valkey, as every request does.
        "the API function": OURS + REQUEST % {"path": "/auth/me", "status": 401},
    }
    found: dict[str, Any] = {}
    for name, program in programs.items():
        runs = [_run(program) for _ in range(3 if quick else RUNS)]
        imports, cpu, wall = (round(statistics.median(run[column] for run in runs)) for column in range(3))
        found[name] = {"imports_cpu_ms": imports, "first_answer_cpu_ms": cpu, "first_answer_wall_ms": wall}
    bare, ours = found.values()
    found["ratio_of_first_answer_cpu"] = round(ours["first_answer_cpu_ms"] / bare["first_answer_cpu_ms"], 2)
    show(
        ["new process", "imports, CPU ms", "first answer, CPU ms", "first answer, wall ms"],
        [[name, *values.values()] for name, values in found.items() if isinstance(values, dict)],
    )
    print(f"ratio: {found['ratio_of_first_answer_cpu']}")
    found["package"] = _package()
    return found


def _run(program: str) -> tuple[float, float, float]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # As on Lambda, where the package brings its bytecode along.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=ROOT, capture_output=True, text=True, check=True
    )
    imports, cpu, wall = (float(part) for part in done.stdout.split()[-3:])
    return imports, cpu, wall


def _package() -> dict[str, float]:
    from infra.packaging import package

    with tempfile.TemporaryDirectory() as folder:
        made = package("prod", Path(folder))
        sizes = {
            "zip_mb": round(made.zip_path.stat().st_size / 1e6, 1),
            "unpacked_mb": round(made.unpacked_bytes / 1e6, 1),
        }
    show(["package", "MB"], [["zip", sizes["zip_mb"]], ["unpacked", sizes["unpacked_mb"]]])
    return sizes
