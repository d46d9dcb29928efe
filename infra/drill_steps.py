"""The steps of the drill, in the order in which they are taken. Each returns what is worth saying."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra import release_history, teardown
from infra.artifacts import artifacts_bucket, s3_client
from infra.deployment import DeploymentError
from infra.drill_client import Client, NotAsPromised, Traffic, check_error, filled, routes_with_a_file
from infra.local.emulator import ROOT
from infra.packaging import Package, package
from infra.preflight import State, preflight
from infra.release import deploy, roll_back
from infra.stages import stack_name_of

if TYPE_CHECKING:
    from chalicelib.wiring import Stores

FOLDER = ROOT / "build" / "drill"
#: All of it comes from one address and few users. Nothing is locked, so that nothing has to stay.
PARAMETERS = {
    "AuditLockDays": "0",
    "RateLimitLoginPerAddress": "1000/minute",
    "RateLimitAnonymous": "100000/day",
    "RateLimitUploads": "1000/minute",
}
#: Old enough for nobody, and too common to be wrong by itself.
SMALL = b"A file of the drill.\n" * 50
UNKNOWN_FILE = "01a2087b-8872-7b31-b3ea-2911107d938c"
#: Method, path, options, status: what the contract says without a session, or with one.
REFUSALS: tuple[tuple[str, str, dict[str, Any], int], ...] = (
    ("GET", "/auth/me", {}, 401),
    ("GET", "/files", {}, 401),
    ("GET", "/no-such-path", {}, 404),
    ("POST", "/auth/login", {"json": {}}, 400),
    ("POST", "/auth/login", {"json": {"username": "nobody", "password": "wrong password"}}, 401),
    ("POST", "/auth/login", {"content": b"<a/>", "headers": {"Content-Type": "text/xml"}}, 415),
)
REFUSALS_SIGNED_IN: tuple[tuple[str, str, dict[str, Any], int], ...] = (
    ("GET", f"/files/{UNKNOWN_FILE}", {}, 404),
    ("GET", "/files?limit=0", {}, 400),
    ("POST", "/files", {"json": {"filename": "x", "size": -1}}, 400),
    ("POST", "/files", {"files": {"other": ("x", b"x")}}, 400),
)

Say = Callable[[str], None]


@dataclass
class Drill:
    """What the steps share."""

    session: Any
    stage: str
    given: dict[str, str]
    say: Say
    multipart_bytes: int
    made: Package | None = None
    traffic: Traffic = field(default_factory=Traffic)
    url: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    organizations: list[str] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    passwords: list[str] = field(default_factory=list, repr=False)
    files: list[str] = field(default_factory=list)
    had_artifacts: bool = True

    @property
    def stores(self) -> Stores:
        from chalicelib.kernel.config import load
        from chalicelib.wiring import Stores
        from infra.environment import stack_variables

        variables = {**os.environ, **stack_variables(self.stage, self.outputs), "BCRYPT_COST": "12"}
        if os.environ.get("AWS_ENDPOINT_URL"):
            variables["S3_ADDRESSING_STYLE"] = "path"
        variables.pop("CACHE_URL", None)
        return Stores(load(variables))

    def deploy(self, parameters: Mapping[str, str], made: Package | None = None) -> None:
        done = deploy(
            self.session, self.stage, parameters, report=self.say, made=made or self.made, migrate=self._migrate
        )
        self.url, self.outputs = done.url, done.outputs

    def _migrate(self, outputs: dict[str, str]) -> None:
        from infra.migrations.runner import migrate

        self.outputs = outputs
        migrate(self.stores, self.say)


def require(holds: bool, sentence: str) -> None:
    if not holds:
        raise NotAsPromised(sentence)


# ---- the steps: each returns what is worth saying ----------------------------------------------------------------
def look_first(drill: Drill) -> str:
    found = teardown.what_exists(drill.session, drill.stage)
    require(not any(found.values()), f"There is something of the stage {drill.stage} already: {found}")
    account = drill.session.client("sts").get_caller_identity()["Account"]
    bucket = artifacts_bucket(account, drill.session.region_name)
    drill.had_artifacts = bucket in {one["Name"] for one in s3_client(drill.session).list_buckets()["Buckets"]}
    findings = preflight(drill.session, drill.stage, drill.given)
    for one in findings:
        drill.say(f"  {one.state:<8} {one.check:<12} {one.sentence}")
    wrong = [one.check for one in findings if one.state is State.WRONG]
    require(not wrong, f"Not as it should be: {', '.join(wrong)}")
    return f"{len(findings)} findings, none in the way"


def create(drill: Drill) -> str:
    if drill.made is None:
        drill.made = package(drill.stage, FOLDER / "package")
    drill.deploy(drill.given)
    return "created, and it answers"


def sign_up(drill: Drill) -> str:
    from chalicelib.accounts.users import create_user
    from chalicelib.tenants.organizations import create_organization

    stores = drill.stores
    for name in ("Drill A", "Drill B"):
        organization = create_organization(stores, name)
        username, password = f"drill-{secrets.token_hex(6)}", secrets.token_urlsafe(24)
        create_user(stores, organization.organization_id, username, password)
        client = Client(drill.url, drill.traffic)
        client.sign_in(username, password)
        drill.organizations.append(organization.organization_id)
        drill.clients.append(client)
        drill.passwords.append(password)
    return "two organisations, a user each"


def smoke(drill: Drill) -> str:
    client = drill.clients[0]
    file_id = client.upload("smoke.txt", SMALL)
    drill.files.append(file_id)
    require(client.download(file_id) == SMALL, "The downloaded bytes are others")
    listed = client.ask("GET", "/files?limit=1", 200).json()["files"]
    require(listed[0]["id"] == file_id, "The list does not begin with the newest file")
    gone = client.upload("gone.txt", SMALL)
    client.ask("DELETE", f"/files/{gone}", 204)
    client.ask("GET", f"/files/{gone}", 404)
    return "upload, processing, download, list, deletion"


def contract(drill: Drill) -> str:
    anonymous = Client(drill.url, drill.traffic)
    for client, refusals in ((anonymous, REFUSALS), (drill.clients[0], REFUSALS_SIGNED_IN)):
        for method, path, options, status in refusals:
            check_error(client.ask(method, path, status, **dict(options)))
    return f"{len(REFUSALS) + len(REFUSALS_SIGNED_IN)} refusals have their status and shape"


def isolation(drill: Drill) -> str:
    """Every route that names a file, of the API's own description, by a user of the other organisation."""
    stranger, file_id = drill.clients[1], drill.files[0]
    document = stranger.ask("GET", "/openapi.json", 200).json()
    body = {"filename": "mine.txt", "parts": [], "part_numbers": [1]}
    count = 0
    for method, path in routes_with_a_file(document):
        options: dict[str, Any] = {} if method in ("GET", "DELETE") else {"json": body}
        check_error(stranger.ask(method, filled(path, file_id), 404, **options))
        count += 1
    require(count >= 5, f"Only {count} routes name a file")
    require(stranger.ask("GET", "/files", 200).json()["total"] == 0, "The other organisation lists a file")
    drill.clients[0].ask("GET", f"/files/{file_id}", 200)
    return f"{count} routes answer 404 to the other organisation"


def multipart(drill: Drill) -> str:
    started = time.monotonic()
    file_id = drill.clients[0].upload_in_parts("large.bin", drill.multipart_bytes)
    seconds = time.monotonic() - started
    drill.clients[0].ask("DELETE", f"/files/{file_id}", 204)
    return f"{drill.multipart_bytes / 1e6:.0f} MB in parts, hashed and copied after {seconds:.0f} s"


def redrive(drill: Drill) -> str:
    """A message that names a file that is completed: it is moved, processed, and changes nothing."""
    import json

    from infra.redrive import count_dead_letters
    from infra.redrive import redrive as run

    stores = drill.stores
    key = f"{drill.organizations[0]}/{drill.files[0]}"
    bucket = drill.outputs["TempBucket"]
    record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": 1}}}
    drill.session.client("sqs").send_message(
        QueueUrl=drill.outputs["DeadLetterQueueUrl"], MessageBody=json.dumps({"Records": [record]})
    )
    _until(lambda: count_dead_letters(stores) == 1, "the dead letter never came")
    require(run(stores, drill.say) == 1, "redrive did not move the message")
    _until(lambda: count_dead_letters(stores) == 0, "the dead letter is still there")
    drill.clients[0].ask("GET", f"/files/{drill.files[0]}", 200)
    return "a dead letter was moved and processed"


def update(drill: Drill) -> str:
    drill.deploy({"LogLevel": "DEBUG"})
    drill.clients[0].ask("GET", f"/files/{drill.files[0]}", 200)
    client = drill.session.client("lambda")
    name = f"{stack_name_of(drill.stage)}-api"
    level = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]["LOG_LEVEL"]
    require(level == "DEBUG", f"The functions have LOG_LEVEL={level}")
    return "another parameter; sessions and files stay"


def refuse_what_is_broken(drill: Drill) -> str:
    """A wrong parameter, and a package that crashes at import: the version that runs goes on."""
    assert drill.made is not None
    with tempfile.TemporaryDirectory() as folder:
        broken = replace(drill.made, zip_path=_broken(drill.made.zip_path, Path(folder)), digest="0" * 64)
        for parameters, made in (({"RateLimitUploads": "lots"}, drill.made), ({}, broken)):
            try:
                drill.deploy(parameters, made)
            except DeploymentError as error:
                drill.say(f"  refused, as it should be: {str(error).splitlines()[0]}")
            else:
                raise NotAsPromised("What is broken was deployed")
    drill.clients[0].ask("GET", f"/files/{drill.files[0]}", 200)
    return "a wrong parameter and a broken package were refused"


def go_back(drill: Drill) -> str:
    account = drill.session.client("sts").get_caller_identity()["Account"]
    bucket = artifacts_bucket(account, drill.session.region_name)
    records = release_history.read_all(s3_client(drill.session), bucket, drill.stage)
    roll_back(drill.session, drill.stage, release_history.choose(records, None), report=drill.say)
    client = drill.session.client("lambda")
    name = f"{stack_name_of(drill.stage)}-api"
    level = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]["LOG_LEVEL"]
    require(level == "INFO", f"After the rollback the functions have LOG_LEVEL={level}")
    require(drill.clients[0].download(drill.files[0]) == SMALL, "After the rollback the file has other bytes")
    return "the version before, with its parameters; files stay"


def restore(drill: Drill) -> str:
    from infra.recovery import Source, delete_backup, make_backup
    from infra.recovery import restore as run

    stores, client = drill.stores, drill.clients[0]
    backup = make_backup(stores.settings.table_prefix, f"drill-{secrets.token_hex(4)}", drill.say)
    try:
        client.ask("DELETE", f"/files/{drill.files[0]}", 204)
        source = Source(backup=backup.name)
        done = run(stores, source, drill.organizations[0], (), rows=False, dry_run=False, report=drill.say)
    finally:
        delete_backup(stores.settings.table_prefix, backup.name)
    require(done.files >= 1 and not done.refused, f"{done.files} files came back; refused: {done.refused}")
    require(client.download(drill.files[0]) == SMALL, "The restored file has other bytes")
    return f"{done.files} files came back from a backup"


def delete_organization(drill: Drill) -> str:
    from infra.organization_removal import remove_organization

    held = remove_organization(drill.stores, drill.organizations[0], drill.say, old_versions=True)
    drill.clients[0].ask("GET", "/auth/me", 401)
    drill.clients[1].ask("GET", "/auth/me", 200)
    return f"{held.sentence()}; the other one works"


def tear_down(drill: Drill) -> str:
    teardown.destroy(drill.session, drill.stage, data=True, bypass_lock=True, report=drill.say)
    s3 = s3_client(drill.session)
    account = drill.session.client("sts").get_caller_identity()["Account"]
    bucket = artifacts_bucket(account, drill.session.region_name)
    if not drill.had_artifacts and bucket in {one["Name"] for one in s3.list_buckets()["Buckets"]}:
        teardown.empty_bucket(s3, bucket, report=drill.say)
        s3.delete_bucket(Bucket=bucket)
    return "everything is deleted"


def nothing_left(drill: Drill) -> str:
    found = teardown.what_exists(drill.session, drill.stage)
    prefix = f"{stack_name_of(drill.stage)}-"
    groups = drill.session.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{prefix}")["logGroups"]
    functions = drill.session.client("lambda").get_paginator("list_functions").paginate()
    found["functions"] = [
        one["FunctionName"] for page in functions for one in page["Functions"] if one["FunctionName"].startswith(prefix)
    ]
    found["logs"] = [group["logGroupName"] for group in groups]
    left = {kind: names for kind, names in found.items() if names}
    require(not left, f"This is left: {left}")
    return "no stack, table, bucket, queue, function or log"


def _until(holds: Callable[[], bool], sentence: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        require(time.monotonic() < deadline, sentence)
        time.sleep(1)


def _broken(zip_path: Path, folder: Path) -> Path:
    """The package with an app.py that can't be imported."""
    broken = folder / "deployment.zip"
    with zipfile.ZipFile(zip_path) as source, zipfile.ZipFile(broken, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            if name != "app.py" and not name.startswith("__pycache__/app."):
                target.writestr(source.getinfo(name), source.read(name))
        target.writestr("app.py", 'raise RuntimeError("broken on purpose")\n')
    return broken


STEPS = (
    look_first, create, sign_up, smoke, contract, isolation, multipart, redrive, update, refuse_what_is_broken, go_back,
    restore, delete_organization,
)  # fmt: skip
LAST_STEPS = (tear_down, nothing_left)
