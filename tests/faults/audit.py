"""Looks at all that is stored, past the application, and names everything that must not be so."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any

from chalicelib import keys
from chalicelib.accounts.rows import SessionRow, UsernameRow, UserRow
from chalicelib.events.feed_rows import STATE, SegmentRow
from chalicelib.events.feed_store import events_of
from chalicelib.events.outbox_rows import OutboxRow
from chalicelib.files.rows import FileRow, OpenUploadsRow
from chalicelib.kernel.permissions import Role
from chalicelib.tenants.rows import OrganizationRow
from tests.faults import cloud as aws
from tests.faults import following
from tests.faults.lab import Lab
from tests.faults.webhook_audit import wrong_webhooks


def audit(lab: Lab) -> list[str]:
    """Everything that must not be so once all is at rest; empty when the promise was kept."""
    if not lab.stream_is_lost:
        # By now the stream has handed out what there is.
        lab.publish()
    rows = lab.rows()
    return [
        *_wrong_files(lab, rows),
        *_wrong_objects(lab, rows),
        *_lost(lab, rows),
        *wrong_counters(lab, rows),
        *wrong_open_uploads(lab, rows),
        *wrong_sessions(lab),
        *_wrong_people(lab),
        *_wrong_queue(lab),
        *wrong_events(lab, rows),
        *wrong_webhooks(lab),
    ]


def _wrong_files(lab: Lab, rows: list[FileRow]) -> Iterator[str]:
    for row in rows:
        where = f"file {row.file_id} ({row.status})"
        if row.organization_id.startswith("removed#"):
            yield f"{where}: the note of its deletion was left"
        elif row.status == "failed":
            if not row.error_message:
                yield f"{where}: no reason"
        elif row.status != "completed":
            yield f"{where}: still open"
        else:
            yield from _wrong_completed(lab, row, where)
        if row.unfinished_shard:
            yield f"{where}: still in the index of the unfinished"


def _wrong_completed(lab: Lab, row: FileRow, where: str) -> Iterator[str]:
    key = keys.permanent_key(row.organization_id, row.file_id, row.object_name)
    current = lab.cloud.bucket(aws.PERMANENT_BUCKET).keys.get(key)
    versions = {version.version_id: version for version in lab.cloud.bucket(aws.PERMANENT_BUCKET).keys.getlist(key, [])}
    pinned = versions.get(row.object_version)
    if pinned is None or not hasattr(pinned, "value"):
        yield f"{where}: its object is not there"
        return
    if current is not pinned:
        # Its version is no longer the current one: the bucket's lifecycle would delete it after the retention time.
        yield f"{where}: another version, or a deletion, hides its object"
    if hashlib.sha256(pinned.value).hexdigest() != row.sha256_hash or len(pinned.value) != row.file_size:
        yield f"{where}: its bytes are not what the row says"
    if pinned.metadata.get("Content-Type") != row.mime_type:
        yield f"{where}: the object says it is {pinned.metadata.get('Content-Type')}, the row {row.mime_type}"


def _wrong_objects(lab: Lab, all_rows: list[FileRow]) -> Iterator[str]:
    rows = {(row.organization_id, row.file_id): row for row in all_rows}
    for key in lab.temp():
        row = rows.get(keys.parse_temp_key(key) or ("", ""))
        if row is None or row.status != "failed" or row.unrecoverable:
            yield f"{key} was left in the temp bucket"
    wanted = {
        keys.permanent_key(row.organization_id, row.file_id, row.object_name)
        for row in rows.values()
        if row.status == "completed"
    }
    for key in lab.permanent():
        if key not in wanted:
            yield f"{key} is orphaned in the permanent bucket"
    for bucket in (aws.TEMP_BUCKET, aws.PERMANENT_BUCKET):
        if lab.cloud.bucket(bucket).multiparts:
            yield f"an unfinished multipart upload was left in {bucket}"


def _lost(lab: Lab, all_rows: list[FileRow]) -> Iterator[str]:
    rows = {row.file_id: row for row in all_rows}
    for file_id, accepted in lab.accepted.items():
        row = rows.get(file_id)
        if accepted.given_up:
            continue
        if row is None or row.organization_id != accepted.organization_id:
            yield f"accepted upload {file_id} is lost"
        elif row.status == "failed" and not row.unrecoverable:
            if lab.temp().get(keys.temp_key(row.organization_id, file_id)) != accepted.body:
                yield f"accepted upload {file_id} failed and can't be processed again"
        elif row.status == "completed" and row.sha256_hash != hashlib.sha256(accepted.body).hexdigest():
            yield f"accepted upload {file_id} is completed with other bytes"


def wrong_counters(lab: Lab, rows: list[FileRow]) -> Iterator[str]:
    """The organisations' counters against a recount of the rows."""
    for organization in lab.cloud.rows(OrganizationRow):
        own = [row for row in rows if row.organization_id == organization.organization_id]
        counts: dict[str, int] = {}
        for row in own:
            name = keys.count_key(row.status, row.mime_type)
            counts[name] = counts.get(name, 0) + 1
        told = {key: int(count) for key, count in organization.counts.attribute_values.items() if count}
        if told != counts:
            yield f"{organization.name}: counters {told}, rows {counts}"
        bytes_used = sum(int(row.reserved_bytes) for row in own)
        if int(organization.bytes_used) != bytes_used:
            yield f"{organization.name}: {organization.bytes_used} bytes used, rows hold {bytes_used}"
        being_hashed = sum(1 for row in own if row.status == "completed" and row.lease_owner)
        if int(organization.being_hashed or 0) != being_hashed:
            yield f"{organization.name}: {organization.being_hashed} being hashed, rows are {being_hashed}"
        files_used = sum(1 for row in own if row.status != "failed")
        if int(organization.files_used) != files_used:
            yield f"{organization.name}: {organization.files_used} files used, rows are {files_used}"
        for what in ("bytes", "files"):
            used, left = getattr(organization, f"{what}_used"), getattr(organization, f"{what}_available")
            if used + left != getattr(organization, f"quota_{what}"):
                yield f"{organization.name}: {what} used and available do not make the quota"


def wrong_open_uploads(lab: Lab, rows: list[FileRow]) -> Iterator[str]:
    """Each user's list of open uploads against the rows."""
    expected: dict[tuple[str, str], tuple[set[str], int]] = {}
    for row in rows:
        living = keys.organization_of_removed(row.organization_id) is None
        if living and row.status == "pending" and row.upload_method != "form" and int(row.attempts) == 0:
            ids, total = expected.get((row.organization_id, row.uploaded_by_id), (set(), 0))
            expected[row.organization_id, row.uploaded_by_id] = ids | {row.file_id}, total + int(row.reserved_bytes)
    listed = {
        (row.partition.removeprefix("open#"), row.user_id): (set(row.file_ids or ()), int(row.bytes_open))
        for row in lab.cloud.rows(OpenUploadsRow)
        if keys.is_open_uploads_partition(row.partition)
    }
    for user in expected.keys() | listed.keys():
        if listed.get(user, (set(), 0)) != expected.get(user, (set(), 0)):
            yield f"open uploads of user {user[1]}: listed {listed.get(user)}, rows {expected.get(user)}"


def wrong_sessions(lab: Lab) -> Iterator[str]:
    """Every live session is its user's and listed there, so that a change of password ends it."""
    users = {(user.organization_id, user.user_id): user for user in lab.cloud.rows(UserRow)}
    for session in lab.cloud.rows(SessionRow):
        if session.expires_at <= time.time():
            # Dead already; DynamoDB deletes it when it comes round to it.
            continue
        user = users.get((session.organization_id, session.user_id))
        if user is None or user.username != session.username:
            yield "a session of nobody"
        elif session.challenge_of is not None:
            # A login that waits for its code: no session, and dead with the password.
            continue
        elif f"{int(session.expires_at)}:{session.token_hash}" not in user.live_sessions:
            yield f"a session of {user.username} that a change of password would not end"


def _wrong_people(lab: Lab) -> Iterator[str]:
    """Names, and what they look like, against users; counts of owners, and roles of sessions, against theirs."""
    users = lab.cloud.rows(UserRow)
    wanted = {(name, row.user_id) for row in users for name in (row.username, keys.skeleton_key(row.username))}
    names = {(row.username, row.user_id) for row in lab.cloud.rows(UsernameRow)}
    for name, user_id in wanted ^ names:
        fault = "missing" if (name, user_id) in wanted else "left behind"
        yield f"the name {name} of user {user_id} is {fault}"
    for organization in lab.cloud.rows(OrganizationRow):
        own = [row for row in users if row.organization_id == organization.organization_id]
        owners = sum(1 for row in own if row.role == Role.OWNER and not row.disabled)
        if not owners or owners != int(organization.owners):
            yield f"{organization.name}: {owners} owners, counted {organization.owners}"
    roles = {user.user_id: user.role for user in users}
    for session in lab.cloud.rows(SessionRow):
        is_live = session.expires_at > time.time() and session.ticket_of is None
        if is_live and session.role != roles.get(session.user_id):
            yield f"a session of {session.username} has the role {session.role}, not {roles.get(session.user_id)}"


def wrong_events(lab: Lab, rows: list[FileRow]) -> Iterator[str]:
    """Every event once, in an order without a gap; and who follows them knows what the rows hold."""
    written = [keys.parse_outbox_moment(row.moment)[1] for row in lab.cloud.rows(OutboxRow)]
    if len(set(written)) != len(written):
        yield "an event was written twice"
    published: list[str] = []
    told_of: dict[str, list[dict[str, Any]]] = {}
    for organization_id in {row.organization_id for row in lab.cloud.rows(SegmentRow)}:
        feed = [
            event
            for row in sorted(lab.cloud.rows(SegmentRow), key=lambda row: row.first_sequence)
            if row.organization_id == organization_id and row.first_sequence != STATE
            for event in events_of(row)
        ]
        if [event.sequence for event in feed] != list(range(1, len(feed) + 1)):
            yield f"the events of {organization_id} have gaps"
        told = [event.to_json() for event in feed]
        published += [event["id"] for event in told]
        yield from _wrong_following(told, [row for row in rows if row.organization_id == organization_id])
        told_of[organization_id] = told
    for organization_id, now in following.known(lab).items():
        before = lab.known_at_start.get(organization_id, following.NOTHING)
        yield from following.wrong_following_of_people(before, now, told_of.get(organization_id, []))
    if sorted(published) != sorted(written):
        yield f"{len(published)} events are published, {len(written)} were written"


def _wrong_following(told: list[dict[str, Any]], rows: list[FileRow]) -> Iterator[str]:
    followed: dict[str, tuple[str, str]] = {}
    for event in told:
        if event["type"] == "file.deleted":
            followed.pop(event["target"]["id"], None)
        elif event["type"].startswith("file."):
            followed[event["target"]["id"]] = event["data"]["status"], event["data"]["filename"]
    shown = {row.file_id: (row.status, row.filename) for row in rows}
    if followed != shown:
        yield f"who follows the events knows {followed}, the rows are {shown}"


def _wrong_queue(lab: Lab) -> Iterator[str]:
    if lab.queued():
        yield f"{lab.queued()} messages were left in the queue"
    for body in lab.dead_letters():
        try:
            json.loads(body)["Records"][0]["s3"]["object"]["key"]
        except (ValueError, KeyError, TypeError):
            yield "a dead letter that can't be redriven"
