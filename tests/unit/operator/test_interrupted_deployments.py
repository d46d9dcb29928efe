"""A deployment, the way back and a rollback, ended at any call and run again, end as if they had never been ended."""

from __future__ import annotations

import copy
import dataclasses
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from moto import mock_aws
from moto.s3.models import s3_backends

from infra import release
from infra.artifacts import artifacts_bucket, s3_client
from infra.deployment import DeploymentError
from infra.functions import API
from infra.live_check import LiveCheck
from infra.packaging import Package
from infra.release_history import Record, choose, read_all
from infra.running import version_of_stack
from infra.template import everything_but_chalice
from tests.unit.crashes import Crash, crashing_at, moments
from tests.unit.operator.simulated import REGION, SimulatedSession

#: No other test's, so that nothing of theirs is here: moto knows accounts apart.
ACCOUNT = "210987654322"
STAGE, STACK = "test", "strongroom-test"
BUCKET = artifacts_bucket(ACCOUNT, REGION)
GOOD, BETTER, BAD = "1" * 64, "2" * 64, "3" * 64
NEVER = 10_000
TAKEN_BACK = r"(?s)The new version was taken back: GET /health is 502.*The version before runs again\.$"


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedSession]:
    monkeypatch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
    with mock_aws():
        yield SimulatedSession()
        s3_backends[ACCOUNT]["aws"].reset()


@pytest.fixture
def package(tmp_path: Path) -> Callable[[str], Package]:
    """A package by its digest, for a version of Python that is not imported here."""
    zip_path = tmp_path / "deployment.zip"
    with zipfile.ZipFile(zip_path, "w") as archive:
        archive.writestr("app.py", "")
    template = copy.deepcopy(everything_but_chalice(STAGE))
    template["Resources"]["RestAPI"]["Properties"]["DefinitionBody"] = {"info": {}}
    for resource in template["Resources"].values():
        kind = "Function" if "FunctionName" in resource.get("Properties", {}) else "Api"
        resource.setdefault("Type", f"AWS::Serverless::{kind}")
    template["Resources"][API.logical_id]["Properties"] |= {"Runtime": "python3.9", "Handler": "app.app"}
    return lambda digest: Package(STAGE, template, zip_path, digest, 0)


def live(session: SimulatedSession) -> LiveCheck:
    return LiveCheck(patience_seconds=0, steady_seconds=0, pause_seconds=0, transport=session.transport())


def deploy(session: SimulatedSession, made: Package, **options: Any) -> list[str]:
    said: list[str] = []
    release.deploy(session, STAGE, {}, made=made, report=said.append, live=live(session), **options)
    return said


def roll_back(session: SimulatedSession, records: list[Record]) -> None:
    """As the command does."""
    record = choose(records, None, version_of_stack(session.client("cloudformation"), STACK))
    release.roll_back(session, STAGE, record, report=lambda line: None, live=live(session))


def records(session: SimulatedSession) -> list[Record]:
    return read_all(s3_client(session), BUCKET, STAGE)


def running(session: SimulatedSession) -> str:
    """Digest of the package."""
    return session.stacks._code.removeprefix("code/")[:64]


@dataclasses.dataclass(frozen=True)
class Moment:
    """All that a run may have changed."""

    stack: Any
    template: Any
    buckets: Any

    @classmethod
    def of(cls, session: SimulatedSession) -> Moment:
        buckets = s3_backends[ACCOUNT]["aws"].buckets
        return cls(*copy.deepcopy((session.stacks.stack, session.stacks.template, buckets)))

    def bring_back(self, session: SimulatedSession) -> None:
        session.stacks.stack, session.stacks.template = copy.deepcopy((self.stack, self.template))
        s3_backends[ACCOUNT]["aws"].buckets = copy.deepcopy(self.buckets)
        if BUCKET not in self.buckets:
            s3_backends.bucket_accounts.pop(BUCKET, None)
        session.functions.made.clear()


def interrupted_at_each_call(
    session: SimulatedSession, act: Callable[[], object], check: Callable[[], None], *, least: int
) -> None:
    """:param least: calls that the act makes at the least, so that the test sees it whole."""
    before = Moment.of(session)
    with crashing_at(NEVER) as calls:
        act()
    check()
    assert len(calls) > least
    for number in moments(calls):
        before.bring_back(session)
        with crashing_at(number), pytest.raises(Crash):
            act()
        act()
        check()


def test_first_deployment(session: SimulatedSession, package: Callable[[str], Package]) -> None:
    def check() -> None:
        assert running(session) == GOOD
        assert [record.digest for record in records(session)] == [GOOD]

    interrupted_at_each_call(session, lambda: deploy(session, package(GOOD)), check, least=20)


def test_update(session: SimulatedSession, package: Callable[[str], Package]) -> None:
    deploy(session, package(GOOD))

    def check() -> None:
        assert running(session) == BETTER
        assert [record.digest for record in records(session)] == [BETTER, GOOD]
        assert session.functions.made == set(), "the trial's function"

    interrupted_at_each_call(session, lambda: deploy(session, package(BETTER)), check, least=30)


def test_version_that_is_taken_back(session: SimulatedSession, package: Callable[[str], Package]) -> None:
    deploy(session, package(GOOD))
    session.broken.add(f"code/{BAD}-{sys.implementation.cache_tag}.zip")

    def act() -> None:
        with pytest.raises(DeploymentError, match=TAKEN_BACK):
            deploy(session, package(BAD))

    def check() -> None:
        assert running(session) == GOOD
        assert [record.digest for record in records(session)] == [GOOD]
        assert session.functions.made == set()

    interrupted_at_each_call(session, act, check, least=40)


def test_rollback_after_a_return_that_died(session: SimulatedSession, package: Callable[[str], Package]) -> None:
    """Whatever of the deployment is left, the operator's rollback brings the last version that answered."""
    deploy(session, package(GOOD))
    session.broken.add(f"code/{BAD}-{sys.implementation.cache_tag}.zip")
    before = Moment.of(session)
    with crashing_at(NEVER) as calls, pytest.raises(DeploymentError):
        deploy(session, package(BAD))
    stayed = 0
    for number in moments(calls):
        before.bring_back(session)
        with crashing_at(number), pytest.raises(Crash):
            deploy(session, package(BAD))
        if running(session) == BAD:
            stayed += 1
            roll_back(session, records(session))
        assert running(session) == GOOD
        assert [record.digest for record in records(session)] == [GOOD]
    assert stayed >= 3


def test_rollback(session: SimulatedSession, package: Callable[[str], Package]) -> None:
    deploy(session, package(GOOD))
    deploy(session, package(BETTER))

    def check() -> None:
        assert running(session) == GOOD
        assert [record.digest for record in records(session)] == [GOOD, BETTER, GOOD]

    def act() -> None:
        roll_back(session, records(session))

    interrupted_at_each_call(session, act, check, least=15)


def test_nothing_to_change_and_no_answer_returns_to_nothing(
    session: SimulatedSession, package: Callable[[str], Package]
) -> None:
    """What it needs may be away: the version that ran and answered yesterday is not taken back for that."""
    deploy(session, package(GOOD))
    session.broken.add(session.stacks._code)
    with pytest.raises(DeploymentError, match="No version that did is known, so it stays"):
        deploy(session, package(GOOD))
    assert [record.digest for record in records(session)] == [GOOD]


def bucket(session: SimulatedSession) -> str:
    outputs = {one["OutputKey"]: one["OutputValue"] for one in (session.stacks.stack or {})["Outputs"]}
    return str(outputs["TempBucket"])


def test_buckets_of_a_new_stack_have_the_region_and_those_of_an_older_one_keep_their_names(
    session: SimulatedSession, package: Callable[[str], Package]
) -> None:
    deploy(session, package(GOOD))
    assert bucket(session) == "strongroom-test-temp-123456789012-eu-central-1"
    deploy(session, package(BETTER))
    assert bucket(session) == "strongroom-test-temp-123456789012-eu-central-1"
    # As it was created by a version before.
    session.stacks.template = package(GOOD).template
    assert session.stacks.stack is not None
    session.stacks.stack["Outputs"] = [
        {"OutputKey": name, "OutputValue": value} for name, value in session.stacks._outputs("strongroom-test").items()
    ]
    assert bucket(session) == "strongroom-test-temp-123456789012"
    deploy(session, package(BETTER))
    assert bucket(session) == "strongroom-test-temp-123456789012"
    assert "AWS::Region}-" not in str(session.stacks.template["Resources"]["ProcessRole"])


def test_version_of_python_is_not_changed_by_who_deploys(
    session: SimulatedSession, package: Callable[[str], Package]
) -> None:
    deploy(session, package(GOOD))
    session.stacks.template["Resources"][API.logical_id]["Properties"]["Runtime"] = "python3.13"
    with pytest.raises(DeploymentError, match=r"on python3.13, and the package .* is for python3.9.*--new-runtime"):
        deploy(session, package(BETTER))
    assert running(session) == GOOD
    deploy(session, package(BETTER), new_runtime=True)
    assert running(session) == BETTER
