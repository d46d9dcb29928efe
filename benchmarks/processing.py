"""Processing objects of growing size, both ways: hashed as a stream, and with a checksum that S3 has verified already.

Each measurement is a process of its own, so that its peak memory is that of one object.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.table import show
from chalicelib.files.record import File
from chalicelib.kernel.caller import Caller
from chalicelib.tenants import organizations as tenants
from chalicelib.uploads.form_uploads import new_file
from chalicelib.wiring import stores

ROOT = Path(__file__).resolve().parents[1]
MEGABYTE = 1024 * 1024


def measure(*, quick: bool) -> list[dict[str, Any]]:
    organization = tenants.create_organization(stores(), "Benchmark of processing", quota_bytes=2**50)
    caller = Caller(organization.organization_id, str(uuid.uuid4()), "bench")
    rows = []
    for size in (1, 20) if quick else (1, 100, 2048):
        for verified in (False, True):
            file = stores().files.create(new_file(caller, "big.bin", None, size * MEGABYTE))
            _put(file, verified)
            done = subprocess.run(
                [sys.executable, "-m", "benchmarks.one_object", f"{file.organization_id}/{file.file_id}"],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                cwd=ROOT,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            found = json.loads(done.stdout.splitlines()[-1])
            assert found.pop("outcome") == "completed"
            way = "verified by S3" if verified else "hashed as a stream"
            rate = round(size / (found["cpu_ms"] / 1000)) if not verified else "-"
            rows.append({"size_mb": size, "checksum": way, **found, "mb_per_cpu_second": rate})
            stores().files.remove(stores().files.find(file.organization_id, file.file_id) or file)
            stores().objects.delete_permanent(file.organization_id, file.file_id, file.object_name)
    show(
        ["MB", "checksum", "AWS calls", "CPU ms", "wall ms", "peak MB", "grown MB", "MB per CPU s"],
        [list(row.values()) for row in rows],
    )
    return rows


def _put(file: File, verified: bool) -> None:
    """Straight into the temp bucket, from a sparse file; in parts where S3 is not to have a checksum of the whole."""
    s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}, read_timeout=600))
    bucket, key = os.environ["TEMP_BUCKET"], f"{file.organization_id}/{file.file_id}"
    with tempfile.NamedTemporaryFile() as sparse:
        sparse.truncate(file.file_size)
        if verified:
            digest = hashlib.sha256()
            for _ in range(file.file_size // MEGABYTE):
                digest.update(bytes(MEGABYTE))
            checksum = base64.b64encode(digest.digest()).decode()
            s3.put_object(Bucket=bucket, Key=key, Body=sparse, ChecksumSHA256=checksum)
        else:
            s3.upload_file(sparse.name, bucket, key)
