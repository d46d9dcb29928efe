"""Backups of the tables, and bringing back what was deleted since: files with counters and objects, and other rows.

DynamoDB restores only into a new table, so a restore copies the tables as they were under a prefix of their own, reads
those with the application's own stores, writes what is missing today, and deletes the copies. Nothing that exists today
is overwritten. Objects need no copy: the permanent bucket keeps every version for OldVersionDays.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3

from chalicelib import keys
from chalicelib.files.record import File
from chalicelib.kernel.errors import QuotaExceeded, VersionConflict
from chalicelib.platform import aws
from chalicelib.wiring import Stores
from infra.deployment import DeploymentError
from infra.operator_events import tell
from infra.template.tables import table_names

if TYPE_CHECKING:
    from chalicelib.tenants.organization import Organization

Report = Callable[[str], None]

#: DynamoDB copies for minutes even when a table is empty.
COPY_POLL_SECONDS = 10
COPY_ATTEMPTS = 6 * 60 * 4
#: Whose rows can be brought back, in this order: who names a user comes before the user. Sessions are not: people sign
#: in again. Events are never deleted before their time.
ROWS = ("organizations", "usernames", "users", "api-keys", "invitations", "webhooks")
FILES = "files"
_UNFINISHED = "its deletion is not finished; try again in half an hour"


@dataclass(frozen=True)
class Source:
    """As of when: a moment of the last 35 days (point-in-time recovery), or a backup by its name."""

    moment: datetime | None = None
    backup: str | None = None

    def __str__(self) -> str:
        return self.backup or (self.moment.isoformat() if self.moment else "")


@dataclass(frozen=True)
class Backup:
    """:param tables: how many of the deployment's tables it has."""

    name: str
    created_at: str
    tables: int
    bytes: int


@dataclass(frozen=True)
class Restored:
    """How many of what: files, rows of other tables, and what could not be brought back, each with the reason."""

    files: int
    rows: int
    refused: list[str]


# ---- backups -----------------------------------------------------------------------------------------------------
def make_backup(table_prefix: str, name: str, report: Report) -> Backup:
    """A backup of each table under one name. It stays until it is deleted, beyond point-in-time recovery's 35 days.

    :raises DeploymentError: there is one of this name, perhaps of a run that died: it would be of two moments.
    """
    there = next((backup for backup in list_backups(table_prefix) if backup.name == name), None)
    if there is not None:
        raise DeploymentError(
            f"There is a backup {name} already, of {there.tables} tables. Choose another name, or delete it first: "
            f"strongroom backup --delete {name}"
        )
    client = boto3.client("dynamodb")
    for table in _table_names(table_prefix):
        client.create_backup(TableName=table, BackupName=name)
        report(f"  {table}")
    return next(backup for backup in list_backups(table_prefix) if backup.name == name)


def list_backups(table_prefix: str) -> list[Backup]:
    """The newest first."""
    found: dict[str, list[dict[str, Any]]] = {}
    for summary in _summaries(table_prefix):
        found.setdefault(summary["BackupName"], []).append(summary)
    made = [
        Backup(
            name,
            min(one["BackupCreationDateTime"] for one in parts).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            len(parts),
            sum(one.get("BackupSizeBytes", 0) for one in parts),
        )
        for name, parts in found.items()
    ]
    return sorted(made, key=lambda backup: backup.created_at, reverse=True)


def delete_backup(table_prefix: str, name: str) -> int:
    """:returns: of how many tables it was; 0 when there is none of this name."""
    client = boto3.client("dynamodb")
    arns = [one["BackupArn"] for one in _summaries(table_prefix) if one["BackupName"] == name]
    for arn in arns:
        client.delete_backup(BackupArn=arn)
    return len(arns)


# ---- restore -----------------------------------------------------------------------------------------------------
def restore(
    stores: Stores,
    source: Source,
    organization_id: str | None,
    file_ids: Collection[str],
    *,
    rows: bool,
    dry_run: bool,
    report: Report,
) -> Restored:
    """Bring back what was there and is missing today.

    :param organization_id: only of this one; None for all.
    :param file_ids: only these files; empty for all.
    :param rows: also organisations, users, keys, invitations and webhooks, before the files.
    :raises DeploymentError: there is no such backup, or the moment is outside of what can be recovered.
    """
    copied = (*ROWS, FILES) if rows else (FILES,)
    with _copies(stores.settings.table_prefix, copied, source, report) as prefix:
        counted_rows = 0
        if rows:
            counted_rows = _restore_all_rows(stores, prefix, source, organization_id, dry_run)
            report(f"  {counted_rows} rows of organisations, users, keys, invitations and webhooks")
        old = Stores(replace(stores.settings, table_prefix=prefix))
        files, refused = 0, []
        for organization in _organizations(stores, old if rows and dry_run else stores, organization_id):
            before = files
            missing = _missing_files(stores, old, organization.organization_id, file_ids)
            if missing and not dry_run:
                _tell(stores, source, organization.organization_id, files=len(missing))
            removed = {note.file.file_id for note in stores.files.removed_of(organization.organization_id)}
            for file in missing:
                wrong = _UNFINISHED if file.file_id in removed else _restore_file(stores, file, dry_run)
                if wrong:
                    refused.append(f"{file.file_id} ({file.filename}): {wrong}")
                files += wrong == ""
            report(f"  {organization.name}: {files - before} files")
    return Restored(files, counted_rows, refused)


def _tell(stores: Stores, source: Source, organization_id: str, **missing: Any) -> None:
    """Before anything is written: what a run that dies has brought back, the next one does not find missing."""
    tell(stores, "restore", organization_id=organization_id, source=str(source), **missing)


def _missing_files(stores: Stores, old: Stores, organization_id: str, file_ids: Collection[str]) -> list[File]:
    """Completed files of the copy that are not there today."""
    return [
        file
        for file in old.files.all_of(organization_id)
        if (not file_ids or file.file_id in file_ids)
        and file.status == "completed"
        and stores.files.find(organization_id, file.file_id) is None
    ]


def _organizations(stores: Stores, else_in: Stores, organization_id: str | None) -> Iterator[Organization]:
    """Those whose files to look for.

    :param else_in: where one is looked for that is not there today: in the copy, if a dry run would bring it back.
    """
    if organization_id is None:
        yield from stores.organizations.all()
        return
    found = stores.organizations.find(organization_id)
    if found is None:
        found = else_in.organizations.find(organization_id)
    if found is None:
        raise DeploymentError(
            f"There is no organisation {organization_id} today. Bring back its row, too: --with-accounts."
        )
    yield found


def _restore_file(stores: Stores, old: File, dry_run: bool) -> str | None:
    """:returns: why it can't be brought back; empty when it was, None when somebody else has done so."""
    wrong = _restore_object(stores, old, dry_run)
    if wrong or dry_run:
        return wrong
    try:
        stores.files.restore(old, occasion=f"restore {secrets.token_hex(8)}")
    except VersionConflict:
        return None
    except QuotaExceeded as error:
        return str(error)
    return ""


def _restore_object(stores: Stores, file: File, dry_run: bool) -> str:
    """Delete the marks that hide the version which was checked. Returns what is wrong, if something is."""
    s3: Any = aws.s3_client(stores.settings.s3_addressing_style)
    bucket = stores.settings.permanent_bucket
    key = keys.permanent_key(file.organization_id, file.file_id, file.object_name)
    found = s3.list_object_versions(Bucket=bucket, Prefix=key)
    versions = [one for one in found.get("Versions", []) if one["Key"] == key]
    marks = [one for one in found.get("DeleteMarkers", []) if one["Key"] == key]
    wanted = [one for one in versions if file.object_version in (None, one["VersionId"])]
    if not wanted:
        return "its bytes are gone: deleted for longer than OldVersionDays"
    if len(versions) > 1 and not wanted[0]["IsLatest"] and any(one["IsLatest"] for one in versions):
        return f"another version of its object is the current one; copy {wanted[0]['VersionId']} over it first"
    for mark in [] if dry_run else marks:
        s3.delete_object(Bucket=bucket, Key=key, VersionId=mark["VersionId"])
    return ""


@dataclass(frozen=True)
class _Row:
    """One that is missing today."""

    table: str
    key_name: str
    item: dict[str, Any]

    @property
    def organization_id(self) -> str:
        found: str = self.item["organization_id"]["S"]
        return found


def _restore_all_rows(
    stores: Stores, copy_prefix: str, source: Source, organization_id: str | None, dry_run: bool
) -> int:
    """Write the rows that are missing today, but those of files. Returns how many."""
    prefix = stores.settings.table_prefix
    missing = [row for table in ROWS for row in _missing_rows(copy_prefix, prefix, table, organization_id)]
    if dry_run:
        return len(missing)
    for whose, count in Counter(row.organization_id for row in missing).items():
        _tell(stores, source, whose, rows=count)
    client = boto3.client("dynamodb")
    for row in missing:
        _put_if_missing(client, f"{prefix}-{row.table}", row.key_name, _as_new(row.table, row.item))
    return len(missing)


def _missing_rows(copy_prefix: str, prefix: str, table: str, organization_id: str | None) -> Iterator[_Row]:
    client = boto3.client("dynamodb")
    target = f"{prefix}-{table}"
    key_names = [key["AttributeName"] for key in client.describe_table(TableName=target)["Table"]["KeySchema"]]
    options: dict[str, Any] = {"TableName": f"{copy_prefix}-{table}"}
    if organization_id is not None:
        options |= {
            "FilterExpression": "organization_id = :organization",
            "ExpressionAttributeValues": {":organization": {"S": organization_id}},
        }
    for page in client.get_paginator("scan").paginate(**options):
        for item in page["Items"]:
            now = client.get_item(TableName=target, Key={k: item[k] for k in key_names}, ConsistentRead=True)
            if _is_missing(now.get("Item")) and "deleted_at" not in item:
                yield _Row(table, key_names[0], item)


def _is_missing(item: dict[str, Any] | None) -> bool:
    """Of a deleted organisation a mark stays."""
    return item is None or "deleted_at" in item


def _as_new(table: str, item: dict[str, Any]) -> dict[str, Any]:
    """Without what other rows say: an organisation counts its files anew, and nobody is signed in."""
    if table == "organizations":
        zero = {"N": "0"}
        return item | {
            "bytes_used": zero,
            "files_used": zero,
            "bytes_available": item["quota_bytes"],
            "files_available": item["quota_files"],
            "counts": {"M": {}},
        }
    return item | {"live_sessions": {"L": []}} if table == "users" else item


def _put_if_missing(client: Any, table: str, key_name: str, item: dict[str, Any]) -> None:
    try:
        client.put_item(
            TableName=table,
            Item=item,
            ConditionExpression="attribute_not_exists(#key) OR attribute_exists(deleted_at)",
            ExpressionAttributeNames={"#key": key_name},
        )
    except client.exceptions.ConditionalCheckFailedException:
        # Somebody has made it meanwhile.
        return


# ---- copies ------------------------------------------------------------------------------------------------------
@contextmanager
def _copies(table_prefix: str, tables: Sequence[str], source: Source, report: Report) -> Iterator[str]:
    """The prefix under which the tables are as they were. Copies of a run that died are deleted first."""
    client = boto3.client("dynamodb")
    prefix = f"{table_prefix}-restoring"
    names = [(f"{table_prefix}-{table}", f"{prefix}-{table}") for table in tables]
    arns = _arns_of(table_prefix, source) if source.backup else {}
    missing = [original for original, _ in names if source.backup and original not in arns]
    if missing:
        raise DeploymentError(
            f"There is no backup {source.backup} of {', '.join(missing)}. See: strongroom backup --list"
        )
    try:
        for original, copy in names:
            _delete_table(client, copy)
            _start_copy(client, original, copy, source, arns)
        report(f"Copying {len(names)} tables as of {source}; on AWS this takes some minutes to some hours ...")
        waiter = client.get_waiter("table_exists")
        for _, copy in names:
            waiter.wait(TableName=copy, WaiterConfig={"Delay": COPY_POLL_SECONDS, "MaxAttempts": COPY_ATTEMPTS})
        yield prefix
    finally:
        for _, copy in names:
            _delete_table(client, copy)


def _start_copy(client: Any, original: str, copy: str, source: Source, arns: dict[str, str]) -> None:
    try:
        if source.backup:
            client.restore_table_from_backup(TargetTableName=copy, BackupArn=arns[original])
        else:
            client.restore_table_to_point_in_time(
                SourceTableName=original, TargetTableName=copy, RestoreDateTime=source.moment
            )
    except (
        client.exceptions.InvalidRestoreTimeException,
        client.exceptions.PointInTimeRecoveryUnavailableException,
    ) as error:
        raise DeploymentError(
            f"{original} can't be restored as of {source}: {error}. Point-in-time recovery covers the last 35 days "
            "but for the last five minutes, from when it was turned on."
        ) from None


def _delete_table(client: Any, name: str) -> None:
    try:
        client.delete_table(TableName=name)
    except client.exceptions.ResourceNotFoundException:
        return
    client.get_waiter("table_not_exists").wait(TableName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 300})


def _arns_of(table_prefix: str, source: Source) -> dict[str, str]:
    summaries = [one for one in _summaries(table_prefix) if one["BackupName"] == source.backup]
    return {one["TableName"]: one["BackupArn"] for one in summaries}


def _summaries(table_prefix: str) -> Iterator[dict[str, Any]]:
    """Backups that operators made of these tables."""
    client = boto3.client("dynamodb")
    for table in _table_names(table_prefix):
        for page in client.get_paginator("list_backups").paginate(TableName=table, BackupType="USER"):
            yield from page["BackupSummaries"]


def _table_names(table_prefix: str) -> list[str]:
    return [f"{table_prefix}-{table}" for table in table_names()]
