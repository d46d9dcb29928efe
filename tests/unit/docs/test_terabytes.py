"""The arithmetic for 5 TiB in docs/operations.md, from the code's constants and AWS's list prices of us-east-1."""

from __future__ import annotations

import re
from pathlib import Path

from chalicelib.kernel.config import described
from chalicelib.platform.large_copy import part_size as copy_part_size
from chalicelib.uploads.direct_uploads import MEBIBYTE, part_size
from infra.functions import PROCESS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("### Terabytes\n")[2].partition("\n### ")[0]

SIZE_BYTES = 5 * 1024**4
#: Assumed, as the page says.
HASH_BYTES_A_SECOND = 60 * 10**6
COPY_BYTES_A_SECOND = 10**9
COPIES_AT_ONCE = 16
CLIENT_BITS_A_SECOND = 10**9
WRITE_UNITS_A_STEP = 20
#: Dollars.
LAMBDA_GB_SECOND = 0.0000166667
LAMBDA_START = 0.2 / 10**6
S3_WRITE = 5 / 10**6
WRITE_UNIT = 0.625 / 10**6
GIB_MONTH = 0.023
HOURS_A_MONTH = 730

STEP_SECONDS = described()["PROCESSING_STEP_SECONDS"].default


def row(start: str) -> list[str]:
    [found] = re.findall(rf"^\| {re.escape(start)}.*$", SECTION, re.MULTILINE)
    return [cell.strip() for cell in str(found).strip("|").split("|")]


def lambda_dollars(seconds: float, invocations: int) -> float:
    return seconds * PROCESS.memory_mb / 1024 * LAMBDA_GB_SECOND + invocations * LAMBDA_START


def test_every_line_and_the_sum() -> None:
    sent = -(-SIZE_BYTES // part_size(SIZE_BYTES))
    copied = -(-SIZE_BYTES // copy_part_size(SIZE_BYTES))
    hash_seconds = SIZE_BYTES / HASH_BYTES_A_SECOND
    copy_seconds = SIZE_BYTES / COPY_BYTES_A_SECOND
    # A part that is begun in time ends after it.
    part_seconds = copy_part_size(SIZE_BYTES) * COPIES_AT_ONCE / COPY_BYTES_A_SECOND
    copy_steps = -(-int(copy_seconds) // int(STEP_SECONDS + part_seconds))
    hash_steps = -(-int(hash_seconds) // STEP_SECONDS)
    steps = copy_steps + hash_steps
    lists = copy_steps * -(-copied // 1000)
    hours = (hash_seconds + copy_seconds) / 3600
    gib = SIZE_BYTES / 1024**3
    dollars = {
        "parts": sent * S3_WRITE,
        "copy": copied * S3_WRITE + lambda_dollars(copy_seconds, copy_steps),
        "hash": lambda_dollars(hash_seconds, hash_steps),
        "rows": steps * WRITE_UNITS_A_STEP * WRITE_UNIT + lists * S3_WRITE,
        "bytes": gib * GIB_MONTH * hours / HOURS_A_MONTH,
    }
    client_hours = SIZE_BYTES * 8 / CLIENT_BITS_A_SECOND / 3600
    assert row("parts to send") == [
        f"parts to send, {part_size(SIZE_BYTES) // MEBIBYTE} MiB each",
        f"{sent:,} PUT",
        f"the client's line: {client_hours:.1f} at 1 Gbit/s",
        f"${dollars['parts']:.2f}",
    ]
    assert row("copy") == [
        f"copy, parts of {copy_part_size(SIZE_BYTES) / 10**6:.0f} MB",
        f"{copied:,} UploadPartCopy in {copy_steps} invocations",
        f"{copy_seconds / 3600:.1f}",
        f"${dollars['copy']:.2f}",
    ]
    assert row("SHA-256")[1:] == [f"{hash_steps} invocations", f"{hash_seconds / 3600:.1f}", f"${dollars['hash']:.2f}"]
    assert row("rows")[1:] == [
        f"{steps} steps of {WRITE_UNITS_A_STEP} write units, {lists} ListParts",
        "",
        f"${dollars['rows']:.2f}",
    ]
    assert row("the bytes")[1:] == [f"{gib:,.0f} GiB", f"{hours:.1f}", f"${dollars['bytes']:.2f}"]
    assert row("**sum**")[1:] == [f"{steps} invocations", f"{hours:.1f}", f"**${sum(dollars.values()):.2f}**"]
    assert f"costs ${gib * GIB_MONTH:.2f} a month" in " ".join(SECTION.split())
    assert f"{hash_seconds * 2 / 3600:.0f} hours, five at a time" in " ".join(SECTION.split())


def test_the_steps_fit_the_function() -> None:
    """A part that is being copied when the time is up, with its second attempt, ends before the function does."""
    from chalicelib.platform import aws

    assert PROCESS.timeout_seconds > STEP_SECONDS + 2 * aws.COPY_READ_TIMEOUT_SECONDS + 2 * 60
    most = described()["PROCESSING_STEP_SECONDS"].bounds
    assert most is not None
    assert most[1] + aws.COPY_READ_TIMEOUT_SECONDS < PROCESS.timeout_seconds
