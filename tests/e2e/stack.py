"""A deployed stack as the tests see it: its address, its outputs, its users, and a client that speaks to it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import boto3
import httpx

from chalicelib.accounts import users as accounts
from chalicelib.kernel import config
from chalicelib.tenants import organizations as tenants
from chalicelib.wiring import Stores
from infra.environment import stack_variables
from infra.release import Release

WAIT_SECONDS = 40.0
# Lambda's own limit for an API behind a gateway is 29 s.
REQUEST_SECONDS = 40.0


@dataclass(frozen=True)
class Member:
    """A user, signed in."""

    organization_id: str
    username: str
    password: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class DeployedStack:
    def __init__(self, session: boto3.Session, endpoint: str, release: Release) -> None:
        self.session = session
        self.endpoint = endpoint
        self.release = release
        self.outputs = release.outputs
        self.api = httpx.Client(base_url=release.url, timeout=REQUEST_SECONDS)

    def stores(self) -> Stores:
        """The application's own stores on this stack, with the operator's rights."""
        return Stores(config.load({**stack_variables("prod", self.outputs), "BCRYPT_COST": "4"}))

    def sign_up(self, name: str) -> Member:
        """An organisation with one user, made as an operator does it, and signed in over HTTP."""
        stores = self.stores()
        organization = tenants.create_organization(stores, name)
        username, password = f"{name.lower()}-admin", f"a long password of {name}"
        accounts.create_user(stores, organization.organization_id, username, password)
        return Member(organization.organization_id, username, password, self.sign_in(username, password))

    def sign_in(self, username: str, password: str) -> str:
        answer = self.api.post("/auth/login", json={"username": username, "password": password})
        assert answer.status_code == 200, answer.text
        token: str = answer.cookies["session"]
        # The member's own header says who calls; a jar would say it of everyone.
        self.api.cookies.clear()
        return token

    def upload(self, member: Member, name: str, body: bytes) -> dict[str, Any]:
        answer = self.api.post("/files", headers=member.headers, files={"file": (name, body)})
        assert answer.status_code == 201, answer.text
        record: dict[str, Any] = answer.json()
        return record

    def details(self, member: Member, file_id: str) -> dict[str, Any]:
        answer = self.api.get(f"/files/{file_id}", headers=member.headers)
        assert answer.status_code == 200, answer.text
        record: dict[str, Any] = answer.json()
        return record

    def wait_for(self, member: Member, file_id: str, *statuses: str) -> dict[str, Any]:
        """The record once it has one of these statuses."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            record = self.details(member, file_id)
            if record["status"] in statuses:
                return record
            assert time.monotonic() < deadline, f"still {record}"
            time.sleep(0.2)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            time.sleep(0.2)

    def uploaded(self, member: Member, name: str = "notes.txt", body: bytes = b"some notes\n") -> dict[str, Any]:
        """A file that went all the way."""
        record = self.wait_for(member, self.upload(member, name, body)["id"], "completed", "failed")
        assert record["status"] == "completed", record
        assert record["sha256_hash"] == hashlib.sha256(body).hexdigest()
        return record
