"""Who calls the emulator: one user for the API and one for the consumer, with the policies of the template's roles.

On AWS a function gets its role's keys from Lambda. Here they are access keys of users, because those of an assumed role
end after hours, and the parts of `make up` run longer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.functions import FUNCTIONS
from infra.local.keys import Key, KeyFile
from infra.template import Template, function_roles, merge, of_roles

#: Part of `make up` -> the roles whose functions it runs.
ROLES_OF_PARTS = {
    part: tuple(function.role for function in FUNCTIONS if function.local_part == part)
    for part in sorted({function.local_part for function in FUNCTIONS})
}
#: The emulator takes every stream for no resource in particular, so a statement that names one allows nothing.
_READS_STREAMS = {
    "PolicyName": "streams",
    "PolicyDocument": {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
                "Resource": "*",
            },
        ],
    },
}


def with_users(template: Template) -> Template:
    """The template with a user for each part, and each user's name among the outputs."""
    roles = function_roles()
    resources, outputs = dict(template["Resources"]), dict(template["Outputs"])
    for part, names in ROLES_OF_PARTS.items():
        policies = [policy for name in names for policy in roles[name]["Properties"]["Policies"]]
        if any(function.stream is not None for function in FUNCTIONS if function.local_part == part):
            policies.append(_READS_STREAMS)
        resources[_user(part)] = {"Type": "AWS::IAM::User", "Properties": {"Policies": policies}}
        outputs[_user(part)] = {"Value": {"Ref": _user(part)}}
    return merge({**template, "Resources": resources, "Outputs": outputs}, of_roles())


def keys_of_parts(iam: Any, outputs: Mapping[str, str], keys: KeyFile) -> dict[str, Key]:
    """Part -> its key: the one of the last start if the emulator still knows it, else a new one."""
    return {part: _key_of(iam, outputs[_user(part)], part, keys) for part in ROLES_OF_PARTS}


def _key_of(iam: Any, user: str, part: str, keys: KeyFile) -> Key:
    kept = keys.read(part)
    known = [row["AccessKeyId"] for row in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]]
    if kept is not None and kept.access_key_id in known:
        return kept
    for access_key_id in known:
        iam.delete_access_key(UserName=user, AccessKeyId=access_key_id)
    made = iam.create_access_key(UserName=user)["AccessKey"]
    key = Key(made["AccessKeyId"], made["SecretAccessKey"])
    keys.write(part, key)
    return key


def _user(part: str) -> str:
    return f"{part.capitalize()}User"
