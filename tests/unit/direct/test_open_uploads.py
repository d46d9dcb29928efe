"""What one user may have open: so many uploads, for such a share of the organisation's quota; and who may end them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from chalicelib.files import recounting
from chalicelib.sweep.sweeping import sweep
from chalicelib.tenants import organizations as tenants
from tests.aws_calls import aws_calls
from tests.unit.api import Answer, Api, Session
from tests.unit.cloud import STACK, TEMP_BUCKET
from tests.unit.conftest import Configure, SignIn
from tests.unit.contract import check_error
from tests.unit.world import World

QUOTA = 1_000_000


@pytest.fixture
def albert(sign_in: SignIn) -> Session:
    """Another user of Acme."""
    return sign_in("albert")


@pytest.fixture
def small_quota(world: World) -> None:
    tenants.set_quota(world.stores, world.organization().organization_id, QUOTA, 1000)


def begin(api: Api, session: Session, size: int = 10) -> Answer:
    return api.post("/files", session, json_body={"filename": "a.bin", "size": size})


def begun(api: Api, session: Session, size: int = 10) -> str:
    answer = begin(api, session, size)
    assert answer.status == 201, answer.body
    file_id: str = answer.json["id"]
    return file_id


def arrive(world: World, file_id: str, body: bytes) -> None:
    world.s3.put_object(Bucket=TEMP_BUCKET, Key=f"{world.organization().organization_id}/{file_id}", Body=body)


def differences(world: World) -> list[str]:
    return recounting.recount(world.stores, world.organization().organization_id).differences


@pytest.mark.usefixtures("small_quota")
class TestShareOfTheQuota:
    def test_one_member_cannot_reserve_the_whole_quota(self, api: Api, anna: Session, world: World) -> None:
        answer = begin(api, anna, QUOTA)
        check_error(answer, 409)
        assert "500000" in answer.json["error"]
        assert world.organization().usage.bytes_used == 0

    def test_others_have_their_own_share(self, api: Api, anna: Session, albert: Session) -> None:
        first = begun(api, anna, QUOTA // 2)
        answer = begin(api, anna, 1)
        check_error(answer, 409)
        assert first in answer.json["error"]
        begun(api, albert, QUOTA // 2)

    def test_giving_up_makes_room(self, api: Api, anna: Session) -> None:
        file_id = begun(api, anna, QUOTA // 2)
        assert api.delete(f"/files/{file_id}", anna).status == 204
        begun(api, anna, QUOTA // 2)

    def test_bytes_that_came_are_not_open_any_more(self, api: Api, anna: Session, world: World) -> None:
        size = QUOTA * 4 // 10
        file_id = begun(api, anna, size)
        check_error(begin(api, anna, size), 409)
        arrive(world, file_id, b"x" * size)
        world.drain()
        begun(api, anna, size)

    def test_expiry_makes_room(self, api: Api, anna: Session, world: World) -> None:
        begun(api, anna, QUOTA // 2)
        with time_machine.travel(_in_hours(2), tick=False):
            assert sweep(world.stores)["expired"] == 1
        begun(api, anna, QUOTA // 2)
        assert differences(world) == []

    def test_share_follows_the_quota(self, api: Api, anna: Session, world: World) -> None:
        begun(api, anna, QUOTA // 2)
        organization_id = world.organization().organization_id
        check_error(begin(api, anna, QUOTA // 2), 409)
        tenants.set_quota(world.stores, organization_id, 2 * QUOTA, 1000)
        begun(api, anna, QUOTA // 2)
        tenants.set_quota(world.stores, organization_id, QUOTA, 1000)
        check_error(begin(api, anna, 1), 409)

    def test_forms_through_the_api_reserve_nothing_open(self, api: Api, anna: Session) -> None:
        begun(api, anna, QUOTA // 2)
        assert api.upload(anna, b"x" * 1000).status == 201

    def test_full_organization_is_told_so(self, api: Api, anna: Session, albert: Session, world: World) -> None:
        tenants.set_quota(world.stores, world.organization().organization_id, QUOTA, 1)
        begun(api, anna, 1)
        assert "may hold 1" in begin(api, albert, 1).json["error"]


class TestNumber:
    def test_one_more_is_refused_and_told_which_to_end(self, api: Api, anna: Session, configure: Configure) -> None:
        configure(MAX_OPEN_UPLOADS_PER_USER=2)
        first, second = begun(api, anna), begun(api, anna)
        answer = begin(api, anna)
        check_error(answer, 409)
        assert first in answer.json["error"]
        assert second in answer.json["error"]
        assert api.get("/s3/params?filename=a", anna).status == 409
        assert api.post("/s3/multipart", anna, json_body={"filename": "a"}).status == 409
        assert api.delete(f"/files/{first}", anna).status == 204
        begun(api, anna)


def test_starting_costs_no_more_calls_once_the_quota_is_known(api: Api, anna: Session, world: World) -> None:
    usual = ["dynamodb.GetItem", "dynamodb.TransactWriteItems"]
    for known in (False, False, True):
        with aws_calls() as made:
            begun(api, anna)
        if known or not world.rows("files")[2:]:
            assert made == usual
        else:
            # The second open upload of a new process reads the quota, once.
            assert made == [*usual, "dynamodb.GetItem", "dynamodb.TransactWriteItems"]


class TestGivingUp:
    def test_other_member_cannot_give_up_an_open_upload(self, api: Api, anna: Session, albert: Session) -> None:
        file_id = begun(api, anna)
        answer = api.delete(f"/files/{file_id}", albert)
        check_error(answer, 403)
        assert "anna" in answer.json["error"]
        [outcome] = api.post("/files/bulk-delete", albert, json_body={"ids": [file_id]}).json["results"]
        assert outcome["result"] == "not_yours"
        assert api.get(f"/files/{file_id}", anna).json["status"] == "pending"

    def test_user_of_another_organization_learns_nothing(self, api: Api, anna: Session, sign_in: SignIn) -> None:
        check_error(api.delete(f"/files/{begun(api, anna)}", sign_in("berta")), 404)

    def test_owner_gives_up_a_members_upload(self, api: Api, anna: Session, albert: Session) -> None:
        assert api.delete(f"/files/{begun(api, albert)}", anna).status == 204


class TestRecount:
    @pytest.fixture
    def opened(self, api: Api, anna: Session) -> str:
        return begun(api, anna)

    def _spoil(self, world: World, user: Session, expression: str, **values: Any) -> None:
        key = {
            "organization_id": {"S": f"open#{user.caller.organization_id}"},
            "file_id": {"S": user.caller.user_id},
        }
        options: Any = {"ExpressionAttributeValues": values} if values else {}
        world.cloud.dynamodb.update_item(TableName=f"{STACK}-files", Key=key, UpdateExpression=expression, **options)

    @pytest.mark.parametrize("what", ["bytes", "ids", "stranger"])
    def test_list_that_drifted_is_found_and_put_right(
        self, api: Api, anna: Session, albert: Session, world: World, opened: str, what: str
    ) -> None:
        if what == "bytes":
            self._spoil(world, anna, "SET bytes_open = :n", **{":n": {"N": "99"}})
        elif what == "ids":
            self._spoil(world, anna, "REMOVE file_ids")
        else:
            self._spoil(world, albert, "SET bytes_open = :n", **{":n": {"N": "99"}})
        counted = recounting.recount(world.stores, anna.caller.organization_id)
        assert [line.partition(" of user ")[0] for line in counted.differences] == ["open uploads"]
        recounting.repair(world.stores, counted)
        assert differences(world) == []


def _in_hours(hours: int) -> Any:
    return datetime.now(UTC) + timedelta(hours=hours)
