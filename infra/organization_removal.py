"""Deletes an organisation with all that it has: people, keys, invitations, webhooks, files.

Each step can be repeated, and the row of the organisation is marked last, so that after a crash the same command finds
what is left. Who could make anything new goes first; the mark is a write on the condition that nothing is left.

The events stay for their time, and the sealed ones for ever: they prove what was done, the deletion included.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from chalicelib.accounts.users import delete_user
from chalicelib.api_keys.logic import delete_by_id
from chalicelib.events.outbox_store import KEPT_SECONDS
from chalicelib.events.records import Target
from chalicelib.files.logic import delete_as_operator, finish_removal
from chalicelib.kernel.errors import Conflict
from chalicelib.kernel.swap import compare_and_swap
from chalicelib.platform import aws
from chalicelib.tenants.organization import Organization
from chalicelib.tenants.organizations import get_organization, set_quota
from chalicelib.webhooks.logic import delete_as_operator as delete_webhook
from infra.operator_events import tell

if TYPE_CHECKING:
    from chalicelib.wiring import Stores

#: Each deletion moves the counters of one row, so more at once would only wait for each other.
PARALLEL_DELETIONS = 8
#: Handed to the threads at a time, so that neither a million files nor a million results are in memory.
FILES_AT_ONCE = 500
#: More invitations than an organisation can have open.
ALL = 100_000
DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Holdings:
    """What an organisation has, for the question before and the report after. Counts; ``bytes`` of all files."""

    users: int
    api_keys: int
    invitations: int
    webhooks: int
    files: int
    bytes: int

    def sentence(self) -> str:
        return (
            f"{self.users} users, {self.api_keys} API keys, {self.invitations} invitations, {self.webhooks} webhooks, "
            f"{self.files} files of {self.bytes} bytes"
        )


def holdings_of(stores: Stores, organization: Organization) -> Holdings:
    """Reads each list but that of the files, which are counted already."""
    organization_id = organization.organization_id
    return Holdings(
        users=sum(1 for _ in stores.users.of_organization(organization_id)),
        api_keys=len(stores.api_keys.of_organization(organization_id).keys),
        invitations=stores.invitations.count(organization_id),
        webhooks=len(stores.webhooks.of_organization(organization_id).webhooks),
        files=organization.file_count(),
        bytes=organization.usage.bytes_used,
    )


def remove_organization(
    stores: Stores, organization_id: str, report: Callable[[str], None], *, old_versions: bool = False
) -> Holdings:
    """Delete it. After a failure, call it again: it goes on with what is left.

    :param old_versions: also delete the objects' old versions, which else stay as long as those of any deleted file.
    :returns: what it had when this call began.
    :raises BadInput: there is no such organisation.
    :raises Conflict: something kept changing; to be repeated.
    """
    organization = get_organization(stores, organization_id)
    held = holdings_of(stores, organization)
    # Whoever is signed in at this moment starts nothing more.
    set_quota(stores, organization_id, 0, 0)
    _remove_people(stores, organization_id)
    report(f"  {held.users} users, {held.api_keys} API keys and {held.invitations} invitations are deleted.")
    # Before the files, or their endpoints would be told of each one.
    for webhook in stores.webhooks.of_organization(organization_id).webhooks:
        delete_webhook(stores, organization_id, webhook.webhook_id)
    stores.webhooks.forget(organization_id)
    report(f"  {held.webhooks} webhooks are deleted.")
    _remove_files(stores, organization_id, held.files, report)
    _remove_objects(stores, organization_id, old_versions)
    # Before the mark, after which the command would not be repeated.
    tell(
        stores,
        "organizations delete",
        target=Target("organization", organization_id),
        occasion=f"organizations delete {organization_id}",
        old_versions=old_versions,
    )
    _mark(stores, organization_id)
    return held


def _remove_people(stores: Stores, organization_id: str) -> None:
    """Invitations first: an accepted one makes a user."""
    for invitation in stores.invitations.of_organization(organization_id, ALL):
        stores.invitations.delete(invitation)
    for key in stores.api_keys.of_organization(organization_id).keys:
        delete_by_id(stores, key.key_id)
    stores.api_keys.forget(organization_id)
    for user in list(stores.users.of_organization(organization_id)):
        delete_user(stores, user.username, even_last_owner=True)


def _remove_files(stores: Stores, organization_id: str, expected: int, report: Callable[[str], None]) -> None:
    """:raises Exception: that of the first file that could not be deleted, once its neighbours have been."""
    done = 0
    with ThreadPoolExecutor(PARALLEL_DELETIONS) as pool:
        for ids in _batches(file.file_id for file in stores.files.all_of(organization_id)):
            # Each thread acts for whoever acts here.
            delete = partial(delete_as_operator, stores, organization_id)
            running = [pool.submit(copy_context().run, delete, file_id) for file_id in ids]
            for result in running:
                result.result()
            done += len(ids)
            report(f"  {done} of {max(done, expected)} files are deleted.")
    # What an earlier run has begun; of a file that is being processed the sweep deletes the objects afterwards.
    for removed in list(stores.files.removed_of(organization_id)):
        finish_removal(stores, removed)
    for user_id, _ in list(stores.open_uploads.all_of(organization_id)):
        stores.open_uploads.forget(organization_id, user_id)


def _batches(ids: Iterator[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for file_id in ids:
        batch.append(file_id)
        if len(batch) == FILES_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _remove_objects(stores: Stores, organization_id: str, old_versions: bool) -> None:
    """What has no row: uploads that were begun by an address given before, and old versions if they are to go."""
    settings, prefix = stores.settings, f"{organization_id}/"
    s3: Any = aws.s3_client(settings.s3_addressing_style)
    for page in s3.get_paginator("list_multipart_uploads").paginate(Bucket=settings.temp_bucket, Prefix=prefix):
        for upload in page.get("Uploads", []):
            s3.abort_multipart_upload(Bucket=settings.temp_bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=settings.temp_bucket, Prefix=prefix):
        _delete(s3, settings.temp_bucket, [{"Key": item["Key"]} for item in page.get("Contents", [])])
    if not old_versions:
        return
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=settings.permanent_bucket, Prefix=prefix):
        found = page.get("Versions", []) + page.get("DeleteMarkers", [])
        _delete(s3, settings.permanent_bucket, [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in found])


def _delete(s3: Any, bucket: str, objects: list[dict[str, str]]) -> None:
    """:raises Conflict: S3 has kept some of them."""
    if not objects:
        return
    errors = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True}).get("Errors", [])
    if errors:
        raise Conflict(f"S3 did not delete {len(errors)} objects ({errors[0].get('Code')}); run the command again.")


def _mark(stores: Stores, organization_id: str) -> None:
    """:raises Conflict: something is left."""
    forgotten_at = int(time.time()) + stores.settings.event_retention_days * DAY_SECONDS + KEPT_SECONDS

    def mark(organization: Organization) -> None:
        held = holdings_of(stores, organization)
        if held != Holdings(0, 0, 0, 0, 0, 0):
            raise Conflict(f"The organisation has got something meanwhile: {held.sentence()}. Run the command again.")
        stores.organizations.delete(organization, forgotten_at)

    compare_and_swap(
        lambda: get_organization(stores, organization_id),
        mark,
        exhausted=Conflict("The organisation is being changed by others; run the command again."),
        waits=True,
    )
