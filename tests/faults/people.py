"""The users of the laboratory: each has a client, and what they are promised is remembered."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalice.test import HTTPResponse

from chalicelib import keys
from chalicelib.tenants.organization import Organization
from tests.faults import cloud as aws
from tests.faults.wire import SimulatedCrash

if TYPE_CHECKING:
    from tests.faults.lab import Lab

PASSWORD = "correct-horse-battery"


@dataclass
class Answer:
    """What a client got. No status: the connection broke, because the process died."""

    status: int | None
    body: Any = None
    headers: dict[str, Any] = field(default_factory=dict)


@dataclass
class Accepted:
    """An upload that was answered with 201."""

    organization_id: str
    body: bytes
    #: Somebody asked for its deletion, and was told it is done, or was told nothing.
    given_up: bool = False


@dataclass
class Person:
    """A user with a client."""

    lab: Lab
    username: str
    organization: Organization
    token: str | None = None

    def login(self, password: str = PASSWORD) -> Answer:
        answer = self.request("POST", "/auth/login", json_body={"username": self.username, "password": password})
        if answer.status == 200 and "challenge" not in answer.body:
            self.token = _cookie(answer.headers)
        return answer

    def second_factor(self, method: str, part: str = "", **body: Any) -> Answer:
        """The routes of the second factor, with whatever they take."""
        answer = self.request(method, f"/auth/second-factor{part}", json_body=body)
        if answer.status == 200 and "challenge" in body:
            self.token = _cookie(answer.headers)
        return answer

    def logout(self) -> Answer:
        return self.request("POST", "/auth/logout")

    def change_password(self, new: str) -> Answer:
        return self.request("POST", "/auth/password", json_body={"current_password": PASSWORD, "new_password": new})

    def change_user(self, user_id: str, **changes: Any) -> Answer:
        return self.request("PATCH", f"/users/{user_id}", json_body=changes)

    def remove_user(self, user_id: str) -> Answer:
        return self.request("DELETE", f"/users/{user_id}")

    def me(self) -> Answer:
        return self.request("GET", "/auth/me")

    def upload(self, body: bytes, filename: str = "report.txt") -> Answer:
        head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n\r\n'
        form = head.encode() + body + b"\r\n--b--\r\n"
        answer = self.request("POST", "/files", form, "multipart/form-data; boundary=b")
        if answer.status == 201:
            self.lab.accepted[answer.body["id"]] = Accepted(self.organization.organization_id, body)
        return answer

    def start_direct(self, size_bytes: int, filename: str = "direct.txt") -> Answer:
        return self.request("POST", "/files", json_body={"filename": filename, "size": size_bytes})

    def send_bytes(self, started: Answer, body: bytes) -> None:
        """Straight to S3, as the answer says: one object, or one part."""
        file_id, upload = started.body["id"], started.body["upload"]
        key = keys.temp_key(self.organization.organization_id, file_id)
        s3 = self.lab.cloud.s3
        with self.lab.wire.by_somebody_else():
            if upload["method"] == "POST":
                s3.put_object(Bucket=aws.TEMP_BUCKET, Key=key, Body=body, ChecksumAlgorithm="CRC32")
                self.lab.accepted[file_id] = Accepted(self.organization.organization_id, body)
                return
            self.send_part(file_id, body)

    def send_part(self, file_id: str, body: bytes) -> None:
        key = keys.temp_key(self.organization.organization_id, file_id)
        row = self.lab.row(file_id)
        assert row is not None
        with self.lab.wire.by_somebody_else():
            self.lab.cloud.s3.upload_part(
                Bucket=aws.TEMP_BUCKET, Key=key, UploadId=row.multipart_upload_id, PartNumber=1, Body=body
            )

    def complete(self, file_id: str, body: bytes) -> Answer:
        """Put the parts together, which make this body."""
        answer = self.request("POST", f"/files/{file_id}/complete")
        if answer.status == 200:
            self.lab.accepted[file_id] = Accepted(self.organization.organization_id, body)
        return answer

    def details(self, file_id: str) -> Answer:
        return self.request("GET", f"/files/{file_id}")

    def delete(self, file_id: str) -> Answer:
        if (
            file_id in self.lab.accepted
            and self.lab.accepted[file_id].organization_id == self.organization.organization_id
        ):
            self.lab.accepted[file_id].given_up = True
        return self.request("DELETE", f"/files/{file_id}")

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        content_type: str = "",
        json_body: Any = None,
        key: str | None = None,
    ) -> Answer:
        """:param key: of a program that this user runs; without one, the user asks."""
        headers = {"Cookie": f"session={self.token}"} if self.token else {}
        if key is not None:
            headers = {"Authorization": f"Bearer {key}"}
        if json_body is not None:
            body, content_type = json.dumps(json_body).encode(), "application/json"
        if content_type:
            headers["Content-Type"] = content_type
        try:
            response: HTTPResponse = self.lab.client.http.request(method, path, headers=headers, body=body)
        except SimulatedCrash:
            return Answer(None)
        answered = json.loads(response.body) if response.body else None
        return Answer(response.status_code, answered, dict(response.headers))


def _cookie(headers: dict[str, Any]) -> str:
    raw = headers["Set-Cookie"]
    first: str = raw[0] if isinstance(raw, list) else raw
    return first.partition("=")[2].partition(";")[0]
