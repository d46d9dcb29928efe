"""What a change set would do to a stack, and which of it loses data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# Losing one of these loses what customers gave us; in a queue that is uploads which wait. A change that removes one, or
# replaces it or may do so, is refused.
DATA_TYPES = frozenset({"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue"})
#: The properties whose change replaces one (AWS, CloudFormation's reference: "Update requires"). CloudFormation, and
#: emulators more so, say "Conditional" of any property that refers to something else that may change.
REPLACING_PROPERTIES = {
    "AWS::S3::Bucket": frozenset({"BucketName", "BucketNamespace", "BucketNamePrefix", "ObjectLockEnabled"}),
    "AWS::SQS::Queue": frozenset({"QueueName", "FifoQueue"}),
}


@dataclass(frozen=True)
class Change:
    """One line of a change set."""

    action: str
    logical_id: str
    resource_type: str
    replacement: str
    scope: tuple[str, ...] = field(default=())

    @property
    def loses_data(self) -> bool:
        if self.resource_type not in DATA_TYPES:
            return False
        return self.action == "Remove" or self.replacement == "True" or self._may_be_replaced

    @property
    def _may_be_replaced(self) -> bool:
        if self.replacement != "Conditional":
            return False
        replacing = REPLACING_PROPERTIES.get(self.resource_type)
        return replacing is None or not self.scope or not replacing.isdisjoint(self.scope)

    def line(self) -> str:
        note = {"True": ", replaced", "Conditional": ", maybe replaced"}.get(self.replacement, "")
        scope = f" ({', '.join(self.scope)}{note})" if self.scope or note else ""
        return f"  {self.action:<7} {self.logical_id} [{self.resource_type}]{scope}"


def refusal_of(lost: list[Change]) -> str:
    """Why changes that lose data are not made."""
    names = ", ".join(change.logical_id for change in lost)
    said = f"Not deployed: this would remove or replace {names}, and the data with it. Nothing was changed. "
    if all(change.replacement == "Conditional" for change in lost):
        # As a new index does, whose attribute CloudFormation counts among those that may need a new table.
        said += "CloudFormation says that it may replace them, not that it will: compare the properties named above. "
    return said + "Allow it explicitly if that is meant."


def read_change(raw: dict[str, Any]) -> Change:
    properties = {
        detail["Target"].get("Name") or detail["Target"].get("Attribute", "") for detail in raw.get("Details", [])
    }
    return Change(
        action=raw["Action"],
        logical_id=raw["LogicalResourceId"],
        resource_type=raw["ResourceType"],
        replacement=raw.get("Replacement", ""),
        scope=tuple(sorted(properties - {""})),
    )


def summary_of(changes: list[Change]) -> str:
    counts: dict[str, int] = {}
    for change in changes:
        word = {"Add": "to add", "Modify": "to change", "Remove": "to remove"}.get(change.action, change.action)
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "only settings of the stack change"
