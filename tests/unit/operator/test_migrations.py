"""Migrations: in order, each once, one runner at a time, and going on where a crash left off."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from chalicelib import keys
from chalicelib.accounts import users as accounts
from chalicelib.files.rows import FileRow
from chalicelib.platform.tables import Tables
from infra.migrations import m0001_installation, m0002_derive_index_keys, m0004_give_roles
from infra.migrations.ledger import APPLIED, LOCK_ID, LOCK_SECONDS, RUNNING, Ledger, LedgerRow, MigrationError
from infra.migrations.runner import Context, Migration, known_migrations, migrate
from tests.aws_calls import aws_calls, just_before, listening
from tests.moto_gaps import aws_answer
from tests.unit.api import Api, Session
from tests.unit.cloud import STACK, USERS
from tests.unit.conftest import SignIn
from tests.unit.operator.conftest import Operator
from tests.unit.world import World


class Crash(Exception):
    """As if the process had ended here."""


def quiet(_: str) -> None:
    """Nobody listens."""


def nothing(_: Context) -> None:
    """A migration of no work."""


def step(migration_id: str, apply: Callable[[Context], None] = nothing) -> Migration:
    return Migration(migration_id, f"what {migration_id} does", apply)


def states() -> dict[str, str]:
    return {name: entry.state for name, entry in Ledger(STACK).entries().items()}


def lock_owner(world: World) -> str | None:
    return next((row["owner"]["S"] for row in world.rows("migrations") if row["migration_id"]["S"] == LOCK_ID), None)


def locks() -> type[LedgerRow]:
    return Tables(STACK).bind(LedgerRow)


def expire_lock() -> None:
    """As after so long a silence."""
    row = locks().get(LOCK_ID)
    row.update(actions=[LedgerRow.expires_at.set(int(time.time()) - 1)])


# ---- the runner --------------------------------------------------------------------------------------------------
def _note(applied: list[str], name: str, _: object) -> None:
    applied.append(name)


def test_pending_ones_are_applied_in_order_and_each_once(world: World) -> None:
    applied: list[str] = []

    def steps(*names: str) -> list[Migration]:
        return [step(name, partial(_note, applied, name)) for name in names]

    assert migrate(world.stores, quiet, steps("0001_a", "0002_b")) == 2
    assert migrate(world.stores, quiet, steps("0001_a", "0002_b")) == 0
    assert migrate(world.stores, quiet, steps("0001_a", "0002_b", "0003_c")) == 1
    assert applied == ["0001_a", "0002_b", "0003_c"]
    assert states() == dict.fromkeys(applied, APPLIED)
    assert lock_owner(world) is None


def test_migrations_of_this_version_are_numbered_without_gaps_and_described() -> None:
    known = known_migrations()
    assert [migration.migration_id[:4] for migration in known] == [f"{n:04}" for n in range(1, len(known) + 1)]
    assert all(migration.description for migration in known)


def test_nothing_to_do_takes_no_lock_and_writes_nothing(world: World) -> None:
    migrate(world.stores, quiet, [step("0001_a")])
    with aws_calls() as made:
        migrate(world.stores, quiet, [step("0001_a")])
    assert set(made) <= {"dynamodb.Scan", "dynamodb.DescribeTable"}


def test_second_runner_at_the_same_time_is_told_to_wait(world: World) -> None:
    applied: list[str] = []

    def meanwhile(_: Context) -> None:
        applied.append("first")
        with pytest.raises(MigrationError, match="Another runner is applying migrations right now"):
            migrate(world.stores, quiet, [step("0001_a", lambda _: applied.append("second"))])

    assert migrate(world.stores, quiet, [step("0001_a", meanwhile)]) == 1
    assert applied == ["first"]


def test_what_another_runner_finished_before_we_had_the_lock_is_not_applied_again(world: World) -> None:
    applied: list[str] = []

    def steps(runner: str) -> list[Migration]:
        return [step("0001_a", lambda _: applied.append(runner))]

    # Both have seen it pending; the other takes the lock first.
    with just_before("dynamodb.PutItem", lambda: migrate(world.stores, quiet, steps("other"))):
        assert migrate(world.stores, quiet, steps("ours")) == 0
    assert applied == ["other"]


def test_lock_of_a_dead_runner_ends_by_itself_and_not_before(world: World) -> None:
    ledger = Ledger(STACK)
    locks()(LOCK_ID, owner="dead", expires_at=int(time.time()) + LOCK_SECONDS).save()
    with pytest.raises(MigrationError, match=f"within {LOCK_SECONDS} seconds"), ledger.held():
        raise AssertionError("both hold it")
    assert lock_owner(world) == "dead"
    expire_lock()
    assert migrate(world.stores, quiet, [step("0001_a")]) == 1


def test_lock_that_its_holder_renews_at_this_moment_is_held(world: World) -> None:
    """DynamoDB refuses a write on an item of a running transaction before it looks at the condition."""
    body = b'{"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException"}'

    def conflict(operation: str, _: AWSPreparedRequest) -> AWSResponse | None:
        if operation != "dynamodb.PutItem":
            return None
        return aws_answer(400, body)

    with listening(conflict), pytest.raises(MigrationError, match="Another runner"):
        migrate(world.stores, quiet, [step("0001_a")])


def test_runner_that_lost_its_lock_can_write_nothing_and_does_not_release_the_next_ones(world: World) -> None:
    with ExitStack() as next_runner:

        def oversleep(context: Context) -> None:
            expire_lock()
            next_runner.enter_context(Ledger(STACK).held())
            before = world.rows("migrations")
            with pytest.raises(MigrationError, match="lock was lost"):
                context.save_position("too late")
            assert world.rows("migrations") == before
            assert context.position is None
            raise Crash

        with pytest.raises(Crash):
            migrate(world.stores, quiet, [step("0001_a", oversleep), step("0002_b")])
        assert states() == {"0001_a": RUNNING}
        with pytest.raises(MigrationError, match="Another runner"):
            migrate(world.stores, quiet, [step("0001_a")])
    assert lock_owner(world) is None


def test_runner_that_lost_its_lock_at_the_end_does_not_overwrite_what_the_next_one_did(world: World) -> None:
    def oversleep(_: Context) -> None:
        expire_lock()
        migrate(world.stores, quiet, [step("0001_a", lambda context: context.save_position("by the next one"))])

    with pytest.raises(MigrationError, match="lock was lost"):
        migrate(world.stores, quiet, [step("0001_a", oversleep), step("0002_b")])
    assert states() == {"0001_a": APPLIED}
    assert Ledger(STACK).entries()["0001_a"].position == "by the next one"


def test_each_saved_position_renews_the_lock(world: World) -> None:
    def apply(context: Context) -> None:
        locks().get(LOCK_ID).update(actions=[LedgerRow.expires_at.set(int(time.time()) + 1)])
        context.save_position(1)
        assert locks().get(LOCK_ID).expires_at > time.time() + LOCK_SECONDS - 10

    assert migrate(world.stores, quiet, [step("0001_a", apply)]) == 1


def test_crash_in_the_middle_goes_on_from_the_saved_position(world: World) -> None:
    done: list[int] = []

    def count_to_five(context: Context) -> None:
        for number in range(context.position or 0, 5):
            done.append(number)
            if len(done) == 4:
                raise Crash
            context.save_position(number + 1)

    first: list[str] = []
    steps = [step("0001_a", lambda _: first.append("applied")), step("0002_b", count_to_five), step("0003_c")]
    with pytest.raises(Crash):
        migrate(world.stores, quiet, steps)
    assert states() == {"0001_a": APPLIED, "0002_b": RUNNING}
    assert lock_owner(world) is None
    said: list[str] = []
    assert migrate(world.stores, said.append, steps) == 2
    # The fourth step was not saved, so it comes again.
    assert done == [0, 1, 2, 3, 3, 4]
    assert first == ["applied"]
    assert said == ["0002_b: what 0002_b does (going on)", "0003_c: what 0003_c does"]
    assert states() == {"0001_a": APPLIED, "0002_b": APPLIED, "0003_c": APPLIED}


def test_deployment_of_a_newer_version_is_left_alone(world: World) -> None:
    migrate(world.stores, quiet, [step("0001_a"), step("0009_future")])
    before = world.snapshot()
    with pytest.raises(MigrationError, match="has had 0009_future, which this version does not know"):
        migrate(world.stores, quiet, [step("0001_a"), step("0002_b")])
    assert world.snapshot() == before


# ---- the command -------------------------------------------------------------------------------------------------
def test_command_applies_what_is_known_and_then_has_nothing_to_do(operator: Operator) -> None:
    names = [migration.migration_id for migration in known_migrations()]
    pending = json.loads(operator.done("migrate", "--status", "--json"))
    assert [(row["migration"], row["state"]) for row in pending] == [(name, "pending") for name in names]
    assert states() == {}
    assert operator.done("migrate").endswith(f"{len(names)} applied.\n")
    assert states() == dict.fromkeys(names, APPLIED)
    assert operator.done("migrate") == "Migrations: nothing to do.\n"


def test_json_of_a_run_is_nothing_but_json_on_standard_output(operator: Operator) -> None:
    result = operator.run("migrate", "--json")
    assert result.exit_code == 0
    assert {row["state"] for row in json.loads(result.stdout)} == {APPLIED}
    assert "0001_installation" in result.stderr


def test_command_says_in_a_sentence_what_is_in_the_way(operator: Operator) -> None:
    ledger = Ledger(STACK)
    with ledger.held():
        assert operator.refused("migrate").startswith("Another runner is applying migrations right now.")
        ledger.record("0999_future", APPLIED)
    assert operator.refused("migrate").startswith("This deployment has had 0999_future, which this version does not")


# ---- 0001: the installation's id ---------------------------------------------------------------------------------
def test_installation_keeps_its_id_when_naming_it_crashed(operator: Operator, world: World) -> None:
    def name_and_crash(context: Context) -> None:
        m0001_installation.apply(context)
        raise Crash

    with pytest.raises(Crash):
        migrate(world.stores, quiet, [step("0001_installation", name_and_crash)])
    given = Ledger(STACK).entries()["0001_installation"].position["installation_id"]
    assert f"installation {given}" in operator.done("migrate")
    assert json.loads(operator.done("status", "--json"))["Deployment"]["installation"] == given


# ---- 0002: index keys --------------------------------------------------------------------------------------------
INDEX_KEYS = ("status_key", "mime_key", "unfinished_shard")
OLD_FORM = {"ExpressionAttributeValues": {":old": {"S": "old#form"}}}


@pytest.fixture
def kinds_of_rows(world: World, api: Api, anna: Session, berta: Session) -> list[dict[str, Any]]:
    """Completed files of two organisations, a pending one, and a deleted one whose objects remain."""
    api.upload(anna, b"completed")
    api.upload(berta, b"<html><body>theirs</body></html>")
    world.work()
    api.upload(anna, b"pending")
    doomed = world.file(api.upload(anna, b"deleted").json["id"])
    assert doomed is not None
    world.stores.files.remove(doomed)
    return world.rows("files")


def change_keys(world: World, row: dict[str, Any], expression: str, **values: Any) -> None:
    world.cloud.dynamodb.update_item(
        TableName=f"{STACK}-files",
        Key={name: row[name] for name in ("organization_id", "file_id")},
        UpdateExpression=expression,
        **values,
    )


def derive(world: World, said: list[str]) -> int:
    return migrate(world.stores, said.append, [step("0002_x", m0002_derive_index_keys.apply)])


@pytest.mark.parametrize("broken", ["missing", "of another form"])
def test_index_keys_are_derived_anew_for_every_kind_of_row(
    world: World, kinds_of_rows: list[dict[str, Any]], broken: str
) -> None:
    for row in kinds_of_rows:
        if broken == "missing":
            change_keys(world, row, "REMOVE " + ", ".join(INDEX_KEYS))
        else:
            change_keys(world, row, "SET " + ", ".join(f"{name} = :old" for name in INDEX_KEYS), **OLD_FORM)
    assert world.rows("files") != kinds_of_rows
    said: list[str] = []
    derive(world, said)
    assert world.rows("files") == kinds_of_rows
    assert said[-1] == "  4 rows read, 4 changed"


def test_rows_that_are_right_are_not_written(world: World, kinds_of_rows: list[dict[str, Any]]) -> None:
    change_keys(world, kinds_of_rows[0], "SET unfinished_shard = :old", **OLD_FORM)
    said: list[str] = []
    with aws_calls() as made:
        derive(world, said)
    assert made.count("dynamodb.UpdateItem") == 1
    assert said[-1] == "  4 rows read, 1 changed"
    assert world.rows("files") == kinds_of_rows


def test_row_that_the_application_writes_meanwhile_stays_as_the_application_wrote_it(
    world: World, api: Api, anna: Session
) -> None:
    file_id = api.upload(anna, b"hello").json["id"]
    change_keys(world, world.rows("files")[0], "REMOVE status_key")
    # Processing completes it between the migration's reading and its writing.
    with just_before("dynamodb.UpdateItem", lambda: world.handle(world.receive() or {})):
        derive(world, [])
    [row] = world.rows("files")
    assert row["status"]["S"] == "completed"
    organization_id = anna.caller.organization_id
    assert row["status_key"]["S"] == keys.status_partition(organization_id, "completed")
    assert "unfinished_shard" not in row
    assert api.get("/files?status=completed", anna).json["files"][0]["id"] == file_id


def test_pages_that_were_done_before_a_crash_are_not_read_again(world: World, api: Api, anna: Session) -> None:
    api.upload(anna, b"hello")
    model = world.cloud.tables.bind(FileRow)
    [pattern] = model.query(anna.caller.organization_id)
    page_rows, rest = m0002_derive_index_keys.PAGE_ROWS, 30
    with model.batch_write() as batch:
        for number in range(page_rows + rest - 1):
            batch.save(model(**{**pattern.attribute_values, "file_id": f"file-{number:04}", "status_key": None}))

    def crash_after_a_page(line: str) -> None:
        if line.endswith("..."):
            raise Crash

    steps = [step("0002_x", m0002_derive_index_keys.apply)]
    with pytest.raises(Crash):
        migrate(world.stores, crash_after_a_page, steps)
    said: list[str] = []
    migrate(world.stores, said.append, steps)
    assert said[-1].startswith(f"  {rest} rows read")
    assert {row["status_key"]["S"] for row in world.rows("files")} == {
        keys.status_partition(anna.caller.organization_id, "pending")
    }


# ---- 0004 --------------------------------------------------------------------------------------------------------
def forget_roles(world: World) -> None:
    """Rows as they were before there were roles."""
    for row in world.rows("users"):
        key = {name: row[name] for name in ("organization_id", "user_id")}
        world.cloud.dynamodb.update_item(TableName=f"{STACK}-users", Key=key, UpdateExpression="REMOVE #r", **ROLE)
    for row in world.rows("sessions"):
        key = {"token_hash": row["token_hash"]}
        world.cloud.dynamodb.update_item(TableName=f"{STACK}-sessions", Key=key, UpdateExpression="REMOVE #r", **ROLE)
    for row in world.rows("organizations"):
        key = {"organization_id": row["organization_id"]}
        world.cloud.dynamodb.update_item(TableName=f"{STACK}-organizations", Key=key, UpdateExpression="REMOVE owners")


ROLE: Any = {"ExpressionAttributeNames": {"#r": "role"}}


def roles(world: World) -> dict[str, str]:
    return {row["username"]["S"]: row.get("role", {}).get("S", "none") for row in world.rows("users")}


def test_first_user_becomes_the_owner_and_the_others_members(world: World, api: Api, sign_in: SignIn) -> None:
    sessions = {name: sign_in(name) for name in ("anna", "albert", "berta")}
    forget_roles(world)
    assert api.get("/auth/me", sessions["anna"]).json["user"]["role"] == "member", "until the migration has been there"
    steps = [step("0004_x", m0004_give_roles.apply)]
    said: list[str] = []
    migrate(world.stores, said.append, steps)
    assert said[-1] == "  3 users given a role"
    assert roles(world) == {"anna": "owner", "albert": "member", "berta": "owner"}
    assert [world.organization(name).owners for name in ("Acme", "Bolt")] == [1, 1]
    seen = {name: api.get("/auth/me", session).json["user"]["role"] for name, session in sessions.items()}
    assert seen == roles(world), "sessions that were open know the role"
    before = world.snapshot()
    m0004_give_roles.apply(Context(world.stores, said.append, None, nothing))
    assert world.snapshot() == before


def test_disabled_first_user_becomes_no_owner(world: World) -> None:
    accounts.set_disabled(world.stores, "anna", True)
    forget_roles(world)
    migrate(world.stores, quiet, [step("0004_x", m0004_give_roles.apply)])
    assert roles(world) == {"anna": "member", "albert": "owner", "berta": "owner"}


def test_login_meanwhile_takes_no_role_away(world: World, api: Api) -> None:
    forget_roles(world)
    with just_before("dynamodb.TransactWriteItems", lambda: api.login("anna", USERS["anna"][1])):
        migrate(world.stores, quiet, [step("0004_x", m0004_give_roles.apply)])
    assert roles(world)["anna"] == "owner"
