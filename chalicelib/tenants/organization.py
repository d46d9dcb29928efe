"""An organisation: name, policy, quota and counters; plain frozen records, no storage in them."""

from dataclasses import dataclass
from typing import Any

from chalicelib.tenants.extensions import belongs, extension_of, usual_extensions


@dataclass(frozen=True)
class Usage:
    """Used and available bytes and files of an organisation. Failed files are not counted."""

    bytes_used: int
    bytes_available: int
    files_used: int
    files_available: int


@dataclass(frozen=True)
class Policy:
    """Which files an organisation takes, by detected type.

    An entry is ``type/subtype`` or ``type/*``. Empty ``allowed_types`` allows every type; ``refused_types`` wins.
    """

    allowed_types: tuple[str, ...] = ()
    refused_types: tuple[str, ...] = ()
    max_file_bytes: int | None = None
    #: Whether the extension of a file's name has to belong to its type (OWASP ASVS 5, 5.2.2).
    match_extension: bool = False

    def refusal_of(self, mime_type: str) -> str | None:
        """The sentence that refuses this type, or None when it is allowed."""
        if _matches(mime_type, self.refused_types):
            return f"Files of type {mime_type} are refused by the organisation's policy."
        if self.allowed_types and not _matches(mime_type, self.allowed_types):
            allowed = ", ".join(self.allowed_types)
            return f"Files of type {mime_type} are not among those that the organisation takes: {allowed}."
        return None

    def refusal_of_name(self, filename: str, mime_type: str) -> str | None:
        """The sentence that refuses this name for a file of this type, or None when the name is allowed."""
        if not self.match_extension or belongs(filename, mime_type):
            return None
        usual = usual_extensions(mime_type)
        advice = (
            f"end its name in one of {', '.join(f'.{one}' for one in usual)}"
            if usual
            else "give it that of its own format, or none"
        )
        return f"The extension .{extension_of(filename)} does not belong to a file of type {mime_type}: {advice}."


def _matches(mime_type: str, patterns: tuple[str, ...]) -> bool:
    return mime_type in patterns or f"{mime_type.split('/')[0]}/*" in patterns


@dataclass(frozen=True)
class NewOrganization:
    """One that is not written yet."""

    organization_id: str
    name: str
    created_at: str
    quota_bytes: int
    quota_files: int


@dataclass(frozen=True)
class Organization:
    """``counts`` holds how many files there are of each ``status|mime type`` (``-`` while the type is unknown)."""

    organization_id: str
    name: str
    created_at: str
    quota_bytes: int
    quota_files: int
    usage: Usage
    policy: Policy
    counts: dict[str, int]
    #: How often usage or counts have changed.
    counter_changes: int
    #: Completed files whose SHA-256 a worker is computing.
    being_hashed: int = 0
    #: Users who are owners and not disabled.
    owners: int = 0
    #: Whether its people need a second factor to do anything.
    require_second_factor: bool = False
    #: How often name, policy, quota or requirement have changed.
    version: int = 0

    def file_count(self, status: str | None = None, mime_type: str | None = None) -> int:
        """How many files match the filters, exactly."""
        total = 0
        for key, count in self.counts.items():
            counted_status, _, counted_type = key.partition("|")
            if status in (None, counted_status) and mime_type in (None, counted_type):
                total += count
        return total

    def counts_by_type(self) -> dict[str, int]:
        """How many files there are of each detected type; the most frequent first."""
        totals: dict[str, int] = {}
        for key, count in self.counts.items():
            _, _, mime_type = key.partition("|")
            if mime_type != "-" and count > 0:
                totals[mime_type] = totals.get(mime_type, 0) + count
        return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


def details(organization: Organization) -> dict[str, Any]:
    """The organisation as its members see it, and as events tell of it."""
    return {
        "id": organization.organization_id,
        "name": organization.name,
        "created_at": organization.created_at,
        "policy": details_of_policy(organization.policy),
        "require_second_factor": organization.require_second_factor,
    }


def details_of_policy(policy: Policy) -> dict[str, Any]:
    return {
        "allowed_types": list(policy.allowed_types),
        "refused_types": list(policy.refused_types),
        "max_file_bytes": policy.max_file_bytes,
        "match_extension": policy.match_extension,
    }
