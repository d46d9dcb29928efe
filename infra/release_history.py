"""Which versions a stage has run: one record for each, in the artifacts bucket, with what is needed to run it again.

Package and template are in the same bucket, named by their contents and never deleted. Secrets are in no record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from infra.deployment import DeploymentError

#: The newest, which a listing shows.
LISTED = 20


@dataclass(frozen=True)
class Version:
    """What makes two releases the same: template, code included, and parameters, secrets left out."""

    template_key: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class Record:
    """A version that answered after it was deployed.

    :param release_id: its time, so that ids sort by age.
    :param template_key: of its template, with the place of its code, in the artifacts bucket.
    :param digest: of its package.
    :param parameters: that the stack then had, secrets left out.
    """

    release_id: str
    version: str
    digest: str
    template_key: str
    parameters: Mapping[str, str]

    @property
    def what_runs(self) -> Version:
        return Version(self.template_key, dict(self.parameters))


def new_release_id() -> str:
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")


def write(s3: Any, bucket: str, stage: str, record: Record) -> None:
    body = json.dumps(asdict(record), indent=2).encode()
    s3.put_object(Bucket=bucket, Key=_prefix(stage) + record.release_id, Body=body, ContentType="application/json")


def read_all(s3: Any, bucket: str, stage: str) -> list[Record]:
    """The newest first."""
    newest = ids(s3, bucket, stage)[:LISTED]
    return [Record(**json.load(s3.get_object(Bucket=bucket, Key=_prefix(stage) + one)["Body"])) for one in newest]


def ids(s3: Any, bucket: str, stage: str) -> list[str]:
    """The newest first; none where there is no such bucket."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=_prefix(stage))
    try:
        names = [item["Key"].removeprefix(_prefix(stage)) for page in pages for item in page.get("Contents", [])]
    except s3.exceptions.NoSuchBucket:
        return []
    return sorted(names, reverse=True)


def delete_all(s3: Any, bucket: str, stage: str) -> None:
    """Of a stage that is gone. Packages stay: other stages may run them."""
    for one in ids(s3, bucket, stage):
        s3.delete_object(Bucket=bucket, Key=_prefix(stage) + one)


def choose(records: list[Record], release_id: str | None, running: Version | None = None) -> Record:
    """The one to return to: that of this id, or the last one before the newest that is different from it.

    :param records: the newest first.
    :param running: what runs, as far as it is known. If no record tells of it, nobody has seen it answer, as after a
        deployment that died, and the newest record is the version before it.
    :raises DeploymentError: there is none.
    """
    if release_id is not None:
        found = [record for record in records if record.release_id == release_id]
        if not found:
            raise DeploymentError(f"There is no release {release_id}. 'strongroom releases' lists them.")
        return found[0]
    if records and running is not None and all(record.what_runs != running for record in records):
        return records[0]
    for record in records[1:]:
        if record.what_runs != records[0].what_runs:
            return record
    raise DeploymentError("There is no earlier release to return to.")


def read_template(s3: Any, bucket: str, record: Record) -> dict[str, Any]:
    found: dict[str, Any] = json.load(s3.get_object(Bucket=bucket, Key=record.template_key)["Body"])
    return found


def _prefix(stage: str) -> str:
    return f"releases/{stage}/"
