"""A picture that is given the name of a program, in an organisation whose policy matches extensions."""

from __future__ import annotations

import pytest

from chalicelib.tenants import organizations as tenants
from chalicelib.tenants.organization import Policy
from tests.unit import samples

from .stack import DeployedStack, Member


@pytest.fixture(scope="module")
def acme(stack: DeployedStack) -> Member:
    member = stack.sign_up("Matcher")
    tenants.set_policy(stack.stores(), member.organization_id, Policy(match_extension=True))
    return member


def test_upload_under_the_name_of_a_program_fails_for_good(stack: DeployedStack, acme: Member) -> None:
    record = stack.wait_for(acme, stack.upload(acme, "payroll.exe", samples.png())["id"], "completed", "failed")
    assert (record["status"], record["error_message"]) == (
        "failed",
        "The extension .exe does not belong to a file of type image/png: end its name in one of .apng, .png.",
    )


def test_rename_to_a_program_is_refused(stack: DeployedStack, acme: Member) -> None:
    record = stack.wait_for(acme, stack.upload(acme, "photo.png", samples.png())["id"], "completed", "failed")
    assert record["status"] == "completed", record
    path = f"/files/{record['id']}"
    answer = stack.api.patch(path, headers=acme.headers, json={"filename": "payroll.exe"})
    assert answer.status_code == 409, answer.text
    assert stack.details(acme, record["id"])["filename"] == "photo.png"
    assert stack.api.patch(path, headers=acme.headers, json={"filename": "x.PNG"}).status_code == 200
