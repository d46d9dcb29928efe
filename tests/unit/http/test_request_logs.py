"""What a request leaves in the log. That no secret is in it is checked after every test of the suite (conftest.py)."""

from __future__ import annotations

import json

import pytest

from chalicelib.sweep.sweeping import sweep
from tests.aws_calls import unreachable
from tests.unit.api import Api, Session
from tests.unit.conftest import Configure, SignIn
from tests.unit.logbook import Logbook
from tests.unit.world import World


def test_each_request_is_one_json_line(any_api: Api, anna: Session, logbook: Logbook) -> None:
    logbook.output = ""
    answer = any_api.get("/files/01890000-0000-7000-8000-000000000000?token=x", anna)
    (line,) = logbook.lines
    assert line.pop("milliseconds") >= 0
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "logger": "chalicelib.web.middleware",
        "message": "GET /files/{file_id} 404",
        "request_id": answer.json["request_id"],
        "organization_id": anna.caller.organization_id,
        "user_id": anna.caller.user_id,
        "route": "/files/{file_id}",
        "status": 404,
    }


def test_request_of_nobody_carries_nobody(api: Api, anna: Session, logbook: Logbook) -> None:
    api.get("/auth/me", anna)
    logbook.output = ""
    api.get("/auth/me")
    (line,) = logbook.lines
    assert "user_id" not in line
    assert "organization_id" not in line


def test_login_says_who_signed_in(sign_in: SignIn, logbook: Logbook) -> None:
    anna = sign_in("anna")
    line = logbook.lines[-1]
    assert (line["route"], line["organization_id"], line["user_id"]) == (
        "/auth/login",
        anna.caller.organization_id,
        anna.caller.user_id,
    )


def test_error_is_told_with_its_cause_and_its_request(api: Api, anna: Session, logbook: Logbook, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    world.spoil(file_id)
    logbook.output = ""
    answer = api.get(f"/files/{file_id}", anna)
    error, request = logbook.lines
    assert error["level"] == "ERROR"
    assert "Cannot deserialize 'file_size' attribute" in error["exception"]
    assert error["request_id"] == request["request_id"] == answer.json["request_id"]
    assert error["user_id"] == anna.caller.user_id


def test_processing_says_what_it_did_to_which_file(api: Api, anna: Session, logbook: Logbook, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    uploading = logbook.lines[-1]
    logbook.output = ""
    world.drain()
    (line,) = [line for line in logbook.lines if "Processed" in line["message"]]
    assert line["message"] == "Processed upload: completed"
    assert (line["organization_id"], line["file_id"]) == (anna.caller.organization_id, file_id)
    assert (line["outcome"], line["attempt"]) == ("completed", 1)
    assert line["milliseconds"] >= 0
    assert line["request_id"]
    assert line["request_id"] != uploading["request_id"], "it is a call of its own"
    assert "user_id" not in line


def test_what_fails_is_told_with_its_reason_and_its_file(
    api: Api, anna: Session, logbook: Logbook, world: World
) -> None:
    file_id = api.upload(anna).json["id"]
    world.stores.objects.delete_temp(anna.caller.organization_id, file_id)
    logbook.output = ""
    world.drain()
    failure, outcome = logbook.lines
    assert failure["level"] == "WARNING"
    assert api.get(f"/files/{file_id}", anna).json["error_message"] in failure["message"]
    assert (failure["organization_id"], failure["file_id"]) == (anna.caller.organization_id, file_id)
    assert outcome["outcome"] == "failed"


def test_sweep_says_which_file_it_failed_at(api: Api, anna: Session, logbook: Logbook, world: World) -> None:
    file_id = api.upload(anna).json["id"]
    logbook.output = ""
    with unreachable("sqs"):
        sweep(world.stores, stale_seconds=-1)
    error, summary = logbook.lines
    assert "away.example" in error["exception"]
    assert (error["organization_id"], error["file_id"]) == (anna.caller.organization_id, file_id)
    assert "file_id" not in summary


def test_laptop_gets_readable_lines(api: Api, configure: Configure, logbook: Logbook) -> None:
    configure(LOG_FORMAT="text")
    logbook.output = ""
    api.get("/auth/me")
    (line,) = logbook.output.splitlines()
    assert "GET /auth/me 401" in line
    with pytest.raises(ValueError, match=r"Expecting|Extra"):
        json.loads(line)


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_nothing_that_a_client_sends_makes_a_second_line(
    api: Api, anna: Session, configure: Configure, logbook: Logbook, log_format: str
) -> None:
    configure(LOG_FORMAT=log_format)
    logbook.output = ""
    forged = '\r\n{"level": "INFO", "message": "forged"}\r\n'
    api.login(forged, forged)
    api.upload(anna, filename=forged)
    api.get("/files", headers={"User-Agent": forged, "Authorization": f"Bearer {forged}"})
    assert len(logbook.output.splitlines()) == 3
    assert not [line for line in logbook.output.splitlines() if line.startswith('{"level": "INFO", "message": "forged')]
