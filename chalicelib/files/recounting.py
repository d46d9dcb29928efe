"""Compares an organisation's counters with its rows, and repairs them. For operators: it reads every row."""

from collections import Counter
from dataclasses import dataclass

from chalicelib import keys
from chalicelib.files.open_uploads_store import OpenUploads
from chalicelib.kernel.errors import BadInput, VersionConflict
from chalicelib.tenants.organization import Organization
from chalicelib.wiring import Stores

#: Uploads may change rows during the count. Such a count is discarded and repeated.
MAX_ATTEMPTS = 10
#: A transaction has at most 100 actions (AWS limit), counters and event included; who has more to repair repairs again.
MAX_LISTS_AT_ONCE = 90


@dataclass(frozen=True)
class Recount:
    """The counters computed from the rows, and the stored ones."""

    organization: Organization
    bytes_used: int
    files_used: int
    counts: dict[str, int]
    being_hashed: int
    #: By user id, as the rows say and as the users' lists say; users with nothing open in either are left out.
    open_uploads: dict[str, OpenUploads]
    listed_uploads: dict[str, OpenUploads]

    @property
    def differences(self) -> list[str]:
        """A line for each counter that is wrong."""
        found = []
        usage = self.organization.usage
        for name, counted, kept in (
            ("bytes_used", self.bytes_used, usage.bytes_used),
            ("files_used", self.files_used, usage.files_used),
            ("being_hashed", self.being_hashed, self.organization.being_hashed),
        ):
            if counted != kept:
                found.append(f"{name} is {kept}, the rows say {counted}")
        for name, left, kept in (
            ("bytes_available", self.organization.quota_bytes - self.bytes_used, usage.bytes_available),
            ("files_available", self.organization.quota_files - self.files_used, usage.files_available),
        ):
            if left != kept:
                found.append(f"{name} is {kept}, quota and rows leave {left}")
        for key in sorted(set(self.counts) | set(self.organization.counts)):
            counted, kept = self.counts.get(key, 0), self.organization.counts.get(key, 0)
            if counted != kept:
                found.append(f"count of {key} is {kept}, the rows say {counted}")
        for user_id in sorted(self.wrong_users):
            rows, listed = (d.get(user_id, OpenUploads()) for d in (self.open_uploads, self.listed_uploads))
            found.append(
                f"open uploads of user {user_id} are {len(listed.file_ids)} of {listed.bytes_open} bytes, the rows say "
                f"{len(rows.file_ids)} of {rows.bytes_open} bytes"
            )
        return found

    @property
    def wrong_users(self) -> set[str]:
        """Users whose list of open uploads is not what the rows say."""
        users = set(self.open_uploads) | set(self.listed_uploads)
        return {user_id for user_id in users if self.open_uploads.get(user_id) != self.listed_uploads.get(user_id)}


def recount(stores: Stores, organization_id: str) -> Recount:
    """Count all rows of an organisation that is not changing meanwhile.

    :raises BadInput: no such organisation.
    :raises VersionConflict: it kept changing.
    """
    for _ in range(MAX_ATTEMPTS):
        before = stores.organizations.find(organization_id)
        if before is None:
            raise BadInput(f"There is no organisation {organization_id}.")
        bytes_used = files_used = being_hashed = 0
        counts: Counter[str] = Counter()
        open_uploads: dict[str, OpenUploads] = {}
        for file in stores.files.all_of(organization_id):
            counts[keys.count_key(file.status, file.mime_type)] += 1
            bytes_used += file.reserved_bytes
            being_hashed += file.is_being_hashed
            files_used += file.status != "failed"
            if file.listed_as_open:
                listed = open_uploads.get(file.uploaded_by_id, OpenUploads())
                open_uploads[file.uploaded_by_id] = OpenUploads(
                    listed.file_ids | {file.file_id}, listed.bytes_open + file.reserved_bytes
                )
        kept = {
            user_id: listed
            for user_id, listed in stores.open_uploads.all_of(organization_id)
            if listed != OpenUploads()
        }
        after = stores.organizations.find(organization_id)
        if after is not None and after.counter_changes == before.counter_changes:
            return Recount(after, bytes_used, files_used, dict(counts), being_hashed, open_uploads, kept)
    raise VersionConflict(f"Organisation {organization_id} is too busy to be counted; try when it is quieter.")


def repair(stores: Stores, counted: Recount) -> None:
    """Write what the rows say.

    :raises VersionConflict: the counters have moved since they were counted.
    """
    organization = counted.organization
    wrong_lists = {
        user_id: counted.open_uploads.get(user_id, OpenUploads())
        for user_id in sorted(counted.wrong_users)[:MAX_LISTS_AT_ONCE]
    }
    stores.organizations.set_counters(
        organization,
        counted.bytes_used,
        counted.files_used,
        counted.counts,
        counted.being_hashed,
        counted.differences,
        also=lambda transaction: stores.open_uploads.set(transaction, organization.organization_id, wrong_lists),
    )
