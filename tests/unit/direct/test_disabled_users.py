"""A disabled user writes nothing more, with whatever was signed before; what was accepted before is kept."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.accounts import users as accounts
from chalicelib.uploads.ending import UPLOADER_DISABLED
from tests.aws_calls import just_before
from tests.unit.api import Api, Session
from tests.unit.cloud import TEMP_BUCKET
from tests.unit.conftest import Configure, SignIn
from tests.unit.direct.test_open_uploads import arrive, begin, begun, differences
from tests.unit.world import World

MEBIBYTE = 1024 * 1024


def test_bytes_that_arrive_later_are_refused_and_deleted(api: Api, anna: Session, world: World) -> None:
    file_id = begun(api, anna, 5)
    accounts.set_disabled(world.stores, "anna", True)
    arrive(world, file_id, b"hello")
    world.drain()
    file = world.file(file_id)
    assert file is not None
    assert (file.status, file.error_message) == ("failed", UPLOADER_DISABLED)
    assert not world.objects(TEMP_BUCKET)
    assert not world.permanent()
    assert differences(world) == []


def test_bytes_that_had_arrived_are_processed(api: Api, anna: Session, world: World) -> None:
    direct, form = begun(api, anna, 5), api.upload(anna, b"by form").json["id"]
    arrive(world, direct, b"hello")
    accounts.set_disabled(world.stores, "anna", True)
    world.drain()
    assert sorted(world.permanent().values()) == [b"by form", b"hello"]
    assert [file.status for file in (world.file(direct), world.file(form)) if file] == ["completed", "completed"]


def test_form_that_is_used_again_changes_nothing(api: Api, anna: Session, world: World) -> None:
    file_id = begun(api, anna, 5)
    arrive(world, file_id, b"hello")
    accounts.set_disabled(world.stores, "anna", True)
    arrive(world, file_id, b"other")
    # Said twice, it must not take the new bytes for the old ones.
    accounts.set_disabled(world.stores, "anna", True)
    world.drain()
    file = world.file(file_id)
    assert file is not None
    assert (file.status, file.error_message) == ("failed", UPLOADER_DISABLED)
    assert not world.permanent()


def test_parts_are_aborted(api: Api, anna: Session, world: World, configure: Configure) -> None:
    configure(MULTIPART_THRESHOLD_BYTES=5 * MEBIBYTE)
    begun(api, anna, 6 * MEBIBYTE)
    accounts.set_disabled(world.stores, "anna", True)
    assert not world.s3.list_multipart_uploads(Bucket=TEMP_BUCKET).get("Uploads")
    assert world.organization().usage.bytes_used == 0


def test_upload_that_starts_while_its_user_is_disabled_is_refused(api: Api, anna: Session, world: World) -> None:
    """It was let in before, and reserves after the list was read."""
    disable: Callable[[], None] = lambda: accounts.set_disabled(world.stores, "anna", True)  # noqa: E731
    with just_before("dynamodb.TransactWriteItems", disable):
        answer = begin(api, anna)
    assert answer.status == 401
    assert world.organization().usage.files_used == 0


def test_enabled_again_the_user_uploads(api: Api, anna: Session, world: World, sign_in: SignIn) -> None:
    file_id = begun(api, anna, 5)
    accounts.set_disabled(world.stores, "anna", True)
    accounts.set_disabled(world.stores, "anna", False)
    session = sign_in("anna")
    begun(api, session)
    arrive(world, file_id, b"hello")
    world.drain()
    assert not world.permanent(), "what was ended stays ended"


def test_other_users_go_on(api: Api, anna: Session, world: World, sign_in: SignIn) -> None:
    file_id = begun(api, sign_in("albert"), 5)
    accounts.set_disabled(world.stores, "anna", True)
    arrive(world, file_id, b"hello")
    world.drain()
    assert list(world.permanent().values()) == [b"hello"]
