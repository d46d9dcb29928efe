"""Every command that can change something: which events it writes, by whom, once, with no secret."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pytest

from chalicelib.events.records import NOBODYS_ORGANIZATION
from infra.__main__ import cli
from infra.operator_events import PROGRAM
from tests.aws_calls import refused
from tests.unit.api import Api, Session
from tests.unit.authenticator import set_up
from tests.unit.cloud import DEAD_LETTER_QUEUE, QUEUE, REGION, STACK
from tests.unit.event_form import check_form, secrets_in
from tests.unit.keys import make_key
from tests.unit.logbook import Logbook
from tests.unit.lost_answers import answers_lost_once
from tests.unit.operator.conftest import Operator
from tests.unit.operator.test_recount import DRIFTS, drift
from tests.unit.world import World

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "a-new-password-1893"
STDIN = "--password-stdin"
#: What changes nothing that is stored.
READING = {
    *("organizations list", "users list", "invitations list", "keys list", "audit events", "audit verify"),
    *("audit history", "audit verify-export", "organizations show", "preflight", "releases", "logs", "completion"),
    *("status", "listen"),
}
#: What only a deployed stack shows, and the test that does.
ELSEWHERE = dict.fromkeys(("deploy", "rollback", "destroy"), "tests/e2e/test_operations.py")


@dataclass
class Scene:
    operator: Operator
    world: World
    api: Api
    anna: Session
    secrets: list[str]

    @property
    def acme(self) -> str:
        return self.anna.caller.organization_id


@dataclass(frozen=True)
class Told:
    """:param organization: whose it is; None for a new one's."""

    type: str
    target: str
    changes: dict[str, tuple[Any, Any]] | None = None
    data: dict[str, Any] = field(default_factory=dict)
    organization: str | None = "Acme"


@dataclass(frozen=True)
class Act:
    command: str
    told: tuple[Told, ...]
    arguments: Callable[[Scene], tuple[str, ...]]
    name: str

    def __str__(self) -> str:
        return f"{self.command}: {self.name}"


ACTS: list[Act] = []


def on(command: str, *told: Told) -> Callable[[Callable[[Scene], tuple[str, ...]]], None]:
    """Add an act: a function that makes ready, and says the arguments."""

    def add(arguments: Callable[[Scene], tuple[str, ...]]) -> None:
        ACTS.append(Act(command, told, arguments, arguments.__name__))

    return add


def acted(command: str, target: str, organization: str | None = NOBODYS_ORGANIZATION, **data: Any) -> Told:
    return Told("operator.acted", target, data={"command": command, **data}, organization=organization)


# ---- organisations and users -------------------------------------------------------------------------------------
@on("organizations create", Told("organization.created", "organization", data={"name": "Zeta"}, organization=None))
def new_organization(scene: Scene) -> tuple[str, ...]:
    return ("Zeta",)


@on(
    "organizations set-quota",
    Told("organization.quota_changed", "organization", {"bytes": (2**40, 5), "files": (1_000_000, 6)}),
)
def quota(scene: Scene) -> tuple[str, ...]:
    return (scene.acme, "--bytes", "5", "--files", "6")


@on("organizations set-quota")
def quota_as_before(scene: Scene) -> tuple[str, ...]:
    scene.operator.done("organizations", "set-quota", scene.acme, "--bytes", "5", "--files", "6")
    return (scene.acme, "--bytes", "5", "--files", "6")


@on(
    "organizations set-policy",
    Told("organization.policy_changed", "organization", {"allowed_types": ([], ["image/*"])}),
)
def policy(scene: Scene) -> tuple[str, ...]:
    return (scene.acme, "--allow", "image/*")


@on("organizations set-policy")
def policy_as_before(scene: Scene) -> tuple[str, ...]:
    return (scene.acme, "--allow-all")


@on("organizations rename", Told("organization.changed", "organization", {"name": ("Acme", "Zenith")}))
def renamed(scene: Scene) -> tuple[str, ...]:
    return (scene.acme, "Zenith")


@on(
    "organizations delete",
    Told("organization.quota_changed", "organization", {"bytes": (2**40, 0), "files": (1_000_000, 0)}),
    Told("user.disabled", "user", {"disabled": (False, True)}),
    Told("session.ended", "user", data={"reason": "user_disabled"}),
    Told("user.deleted", "user"),
    Told("file.deleted", "file"),
    acted("organizations delete", "organization", old_versions=False),
    Told("organization.deleted", "organization", data={"name": "Acme"}),
)
def removed_organization(scene: Scene) -> tuple[str, ...]:
    scene.operator.done("users", "delete", "albert", "--yes")
    scene.api.upload(scene.anna)
    return (scene.acme, "--yes")


@on("users delete", Told("user.disabled", "user", {"disabled": (False, True)}), Told("user.deleted", "user"))
def removed_user(scene: Scene) -> tuple[str, ...]:
    return ("albert", "--yes")


@on("users create", Told("user.created", "user", data={"username": "jane", "role": "viewer"}))
def new_user(scene: Scene) -> tuple[str, ...]:
    return (scene.acme, "jane", "--role", "viewer", STDIN)


@on("users set-role", Told("user.role_changed", "user", {"role": ("member", "admin")}))
def role(scene: Scene) -> tuple[str, ...]:
    return ("albert", "admin")


@on("users set-role")
def role_as_before(scene: Scene) -> tuple[str, ...]:
    return ("albert", "member")


@on(
    "users disable",
    Told("user.disabled", "user", {"disabled": (False, True)}),
    Told("session.ended", "user", data={"username": "anna", "reason": "user_disabled"}),
)
def disabled(scene: Scene) -> tuple[str, ...]:
    return ("anna",)


@on("users disable")
def disabled_again(scene: Scene) -> tuple[str, ...]:
    scene.operator.done("users", "disable", "albert")
    return ("albert",)


@on("users enable", Told("user.enabled", "user", {"disabled": (True, False)}))
def enabled(scene: Scene) -> tuple[str, ...]:
    scene.operator.done("users", "disable", "albert")
    return ("albert",)


@on("users enable")
def enabled_again(scene: Scene) -> tuple[str, ...]:
    return ("albert",)


@on(
    "users set-password",
    Told("user.password_changed", "user"),
    Told("session.ended", "user", data={"reason": "password_changed"}),
)
def password(scene: Scene) -> tuple[str, ...]:
    return ("anna", STDIN)


@on(
    "users reset-second-factor",
    Told("user.second_factor_disabled", "user", {"second_factor": (True, False)}),
    Told("session.ended", "user", data={"reason": "second_factor_changed"}),
)
def factor(scene: Scene) -> tuple[str, ...]:
    made = set_up(scene.api, scene.anna)
    scene.secrets += [made.secret, *made.recovery_codes]
    return ("anna",)


# ---- invitations and keys ----------------------------------------------------------------------------------------
def invitation(scene: Scene) -> str:
    [made] = json.loads(scene.operator.done("invitations", "create", scene.acme, "member", "--json"))
    scene.secrets.append(made["token"])
    return str(made["id"])


@on("invitations create", Told("invitation.created", "invitation", data={"role": "member"}))
def invited(scene: Scene) -> tuple[str, ...]:
    return (scene.acme, "member")


@on("invitations resend", Told("invitation.renewed", "invitation", {"invited_by": ("anna", "operator")}))
def resent(scene: Scene) -> tuple[str, ...]:
    made = scene.api.post("/invitations", scene.anna, json_body={"role": "member"}).json
    return (scene.acme, made["id"])


@on("invitations revoke", Told("invitation.deleted", "invitation"))
def revoked(scene: Scene) -> tuple[str, ...]:
    return (scene.acme, invitation(scene))


@on("keys create", Told("api_key.created", "api_key", data={"name": "nightly"}))
def new_key(scene: Scene) -> tuple[str, ...]:
    return (scene.acme, "nightly", "--scope", "files:read")


@on("keys revoke", Told("api_key.revoked", "api_key"))
def ended_key(scene: Scene) -> tuple[str, ...]:
    return (make_key(scene.api, scene.anna).caller.user_id,)


@on("keys revoke")
def ended_key_again(scene: Scene) -> tuple[str, ...]:
    key_id = make_key(scene.api, scene.anna).caller.user_id
    scene.operator.done("keys", "revoke", key_id)
    return (key_id,)


# ---- the deployment ----------------------------------------------------------------------------------------------
@on("migrate", acted("migrate", "deployment"))
def migrated(scene: Scene) -> tuple[str, ...]:
    return ()


@on("migrate")
def migrated_again(scene: Scene) -> tuple[str, ...]:
    scene.operator.run("migrate")
    return ()


@on(
    "seed-data",
    Told("organization.created", "organization", organization=None),
    Told("user.created", "user", data={"username": "admin", "role": "owner"}, organization=None),
)
def seeded(scene: Scene) -> tuple[str, ...]:
    # Where the stage local is; the fixture of the command line takes it back.
    os.environ["AWS_ENDPOINT_URL"] = f"https://dynamodb.{REGION}.amazonaws.com"
    return ("--stage", "local")


@on("redrive", acted("redrive", "file", "Acme"))
def redriven(scene: Scene) -> tuple[str, ...]:
    scene.api.upload(scene.anna)
    with refused("s3.GetObject"):
        scene.world.drain()
    return ()


@on("redrive", acted("redrive", "deployment"))
def redriven_what_names_no_file(scene: Scene) -> tuple[str, ...]:
    url = scene.world.queue_url.replace(QUEUE, DEAD_LETTER_QUEUE)
    scene.world.sqs.send_message(QueueUrl=url, MessageBody="nonsense")
    return ()


@on("redrive")
def nothing_to_redrive(scene: Scene) -> tuple[str, ...]:
    return ()


@on("reprocess", acted("reprocess", "file", "Acme"))
def reprocessed(scene: Scene) -> tuple[str, ...]:
    return (scene.acme, scene.api.upload(scene.anna).json["id"])


@on(
    "sweep",
    Told("file.failed", "file", data={"status": "failed"}),
    acted("sweep", "deployment", stale_seconds=0),
)
def swept(scene: Scene) -> tuple[str, ...]:
    file_id = scene.api.upload(scene.anna).json["id"]
    scene.world.forget_messages()
    scene.world.s3.delete_object(Bucket=scene.world.stores.settings.temp_bucket, Key=scene.world.temp_key(file_id))
    return ("--stale-seconds", "0")


@on("sweep")
def nothing_to_sweep(scene: Scene) -> tuple[str, ...]:
    return ()


@on("backup", acted("backup", "deployment", name="noon"))
def backed_up(scene: Scene) -> tuple[str, ...]:
    return ("--name", "noon")


@on("backup", acted("backup --delete", "deployment", name="noon"))
def backup_deleted(scene: Scene) -> tuple[str, ...]:
    scene.operator.run("backup", "--name", "noon")
    return ("--delete", "noon", "--yes")


@on("backup")
def backups_listed(scene: Scene) -> tuple[str, ...]:
    return ("--list",)


@on("restore", Told("file.restored", "file"), acted("restore", "deployment", "Acme", source="noon", files=1))
def restored(scene: Scene) -> tuple[str, ...]:
    file_id = scene.api.upload(scene.anna).json["id"]
    scene.world.drain()
    scene.operator.run("backup", "--name", "noon")
    scene.api.delete(f"/files/{file_id}", scene.anna)
    return ("--backup", "noon", "--yes")


@on(
    "restore",
    Told("file.restored", "file"),
    acted("restore", "deployment", "Acme", source="noon", rows=1),
    acted("restore", "deployment", "Acme", source="noon", files=1),
)
def restored_with_accounts(scene: Scene) -> tuple[str, ...]:
    """A key that works again is told, as well as a file."""
    file_id = scene.api.upload(scene.anna).json["id"]
    scene.world.drain()
    made = make_key(scene.api, scene.anna, ("files:read",))
    scene.operator.run("backup", "--name", "noon")
    scene.world.cloud.dynamodb.delete_item(
        TableName=f"{STACK}-api-keys",
        Key={"organization_id": {"S": scene.acme}, "key_id": {"S": made.caller.user_id}},
    )
    scene.api.delete(f"/files/{file_id}", scene.anna)
    return ("--backup", "noon", "--with-accounts", "--yes")


@on("restore")
def nothing_to_restore(scene: Scene) -> tuple[str, ...]:
    scene.operator.run("backup", "--name", "noon")
    return ("--backup", "noon", "--yes")


@on("recount", acted("recount --repair", "organization", "Acme"))
def repaired(scene: Scene) -> tuple[str, ...]:
    drift(scene.world, scene.acme, DRIFTS["files_used"][0])
    return (scene.acme, "--repair")


@on("recount")
def nothing_to_repair(scene: Scene) -> tuple[str, ...]:
    return (scene.acme, "--repair")


# ---- the tests ---------------------------------------------------------------------------------------------------
@pytest.fixture
def scene(operator: Operator, world: World, api: Api, anna: Session, logbook: Logbook) -> Scene:
    return Scene(operator, world, api, anna, [*logbook.secrets, PASSWORD])


def leaves(command: click.Command, *names: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, *names, name)
    else:
        yield " ".join(names)


def run(scene: Scene, act: Act) -> list[dict[str, Any]]:
    """The events that the command itself has written."""
    arguments = act.arguments(scene)
    scene.world.cloud.forget_events()
    result = scene.operator.run(*act.command.split(), *arguments, typed=f"{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    return scene.world.written_events()


def matches(scene: Scene, wanted: Told, event: dict[str, Any]) -> bool:
    changes = {
        name: (_named(change["from"]), _named(change["to"])) for name, change in event.get("changes", {}).items()
    }
    known = scene.world.organizations
    organization_id = (
        known[wanted.organization].organization_id if wanted.organization in known else wanted.organization
    )
    return (
        (event["type"], event["target"]["type"], changes or None) == (wanted.type, wanted.target, wanted.changes)
        and organization_id in (event["organization_id"], None)
        and wanted.data.items() <= event["data"].items()
    )


def _named(value: Any) -> Any:
    """Of somebody, the name."""
    return value["name"] if isinstance(value, dict) else value


def check_told(scene: Scene, act: Act, events: list[dict[str, Any]]) -> None:
    assert sorted(event["type"] for event in events) == sorted(one.type for one in act.told)
    for wanted in act.told:
        assert [event for event in events if matches(scene, wanted, event)], (wanted, events)


def test_every_command_that_changes_something_is_in_the_table_and_no_other() -> None:
    assert {act.command for act in ACTS} | READING | ELSEWHERE.keys() == set(leaves(cli))
    assert not {act.command for act in ACTS} & (READING | ELSEWHERE.keys())


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_not_run_here_is_told_elsewhere(command: str) -> None:
    assert f'["command"] == "{command}"' in (ROOT / ELSEWHERE[command]).read_text(encoding="utf-8")


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_command_is_told(scene: Scene, act: Act) -> None:
    events = run(scene, act)
    check_told(scene, act, events)
    check_form(events)
    name = getpass.getuser()
    operator = {"type": "operator", "id": name, "name": name, "program": PROGRAM}
    assert [event["actor"] for event in events] == [operator] * len(events)


@pytest.mark.parametrize("act", ACTS, ids=str)
def test_no_secret_is_told(scene: Scene, act: Act) -> None:
    arguments = act.arguments(scene)
    result = scene.operator.run(*act.command.split(), *arguments, typed=f"{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    rows = json.dumps(scene.world.rows("event-outbox"), ensure_ascii=False)
    printed = [word for word in result.stdout.split() if word.startswith(("sr_", "inv_"))]
    assert secrets_in(rows, [*scene.secrets, *printed]) == []


@pytest.mark.parametrize("act", [act for act in ACTS if act.told], ids=str)
def test_answer_that_is_lost_writes_no_second_event(scene: Scene, act: Act, unhurried: list[float]) -> None:
    with answers_lost_once("dynamodb.TransactWriteItems"):
        check_told(scene, act, run(scene, act))
    moments = [row["moment"]["S"] for row in scene.world.rows("event-outbox")]
    assert len(set(moments)) == len(moments)


def test_redrive_that_died_after_telling_tells_the_same_event_again(scene: Scene) -> None:
    """Two rows in the outbox, of two times; one event in the feed, because its id is the same."""
    url = scene.world.queue_url.replace(QUEUE, DEAD_LETTER_QUEUE)
    scene.world.sqs.send_message(QueueUrl=url, MessageBody="nonsense")
    with refused("sqs.DeleteMessage"):
        assert scene.operator.run("redrive").exit_code != 0
    for message in scene.world.cloud.messages(DEAD_LETTER_QUEUE):
        message.visible_at = 0
    scene.operator.done("redrive")
    told = scene.world.written_events()
    assert [event["data"]["command"] for event in told] == ["redrive", "redrive"]
    scene.world.publish()
    assert len(list(scene.world.stores.feed.before(NOBODYS_ORGANIZATION, None))) == 1


def test_command_that_fails_is_not_told(scene: Scene) -> None:
    for words in (
        "users set-role anna member",
        "users disable ghost",
        "organizations set-quota ghost --bytes 1 --files 1",
        f"reprocess {scene.acme} nothing",
        f"invitations revoke {scene.acme} nothing",
        "keys revoke nothing",
        f"recount {scene.acme}x --repair",
    ):
        scene.operator.refused(*words.split())
    assert scene.world.written_events() == []
