"""Tries a new version before it gets traffic: first its import on this machine, then a function of its own beside the
running ones.

CloudFormation replaces the code of a function in place and asks nothing of it, so a version that crashes at import is
"deployed" and answers every request with 502. The candidate runs the new code with the role, the network and the
variables of the running API function, answers a few requests and is deleted; nobody else calls it.

Knows Lambda; what a good answer is, it takes from the API's contract.
"""

from __future__ import annotations

import base64
import json
import platform
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infra.deployment import DeploymentError, Report
from infra.functions import API, FUNCTIONS
from infra.template import Template

#: Lambda makes a function, or lets one go, within seconds; in a VPC that it knows, too.
READY_SECONDS = 120
#: Of one import or one answer. Lambda gives an import 10 s, and then starts once more.
TRY_SECONDS = 60
#: What it may say at most of an exception.
SHOWN_CHARACTERS = 2_000

#: Method and path -> status, of requests that need no data. Each goes through routing, settings and the error contract.
REQUESTS = {("GET", "/auth/me"): 401, ("GET", "/files"): 401, ("GET", "/health"): 200}


class CandidateFailed(DeploymentError):
    """The new version does not work. It was not deployed, and the one before goes on."""


# ---- on this machine ---------------------------------------------------------------------------------------------
def try_import(zip_path: Path, template: Template, report: Report) -> None:
    """Import the package alone, as Lambda does, and look for each function's handler.

    :raises CandidateFailed: it can't be imported.
    """
    runtime = runtime_of(template)
    if (platform.system(), platform.machine()) != ("Linux", "x86_64") or runtime != own_runtime():
        report(f"The package is not imported here: it is for {runtime} on Linux, x86_64.")
        return
    handlers = [template["Resources"][f.logical_id]["Properties"]["Handler"] for f in FUNCTIONS]
    names = sorted({handler.rpartition(".")[2] for handler in handlers})
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(zip_path) as archive:
            archive.extractall(folder)
        library = sysconfig.get_path("stdlib")
        paths = [library, str(Path(library) / "lib-dynload"), folder]
        program = f"import sys; sys.path[:] = {paths!r}\nimport app\n[getattr(app, name) for name in {names!r}]"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program],
            cwd=folder,
            env={"PATH": "/nonexistent", "AWS_DEFAULT_REGION": "us-east-1"},
            capture_output=True,
            text=True,
            timeout=TRY_SECONDS,
            check=False,
        )
    if done.returncode != 0:
        raise CandidateFailed(
            f"Not deployed: the package can't be imported.\n{_last_lines(done.stderr, 8)}\nNothing was changed."
        )


def runtime_of(template: Template) -> str:
    """Of all functions, by a package's template."""
    runtime: str = template["Resources"][API.logical_id]["Properties"]["Runtime"]
    return runtime


def own_runtime() -> str:
    """What a package that is made on this machine is for: its wheels and its bytecode are of one version of Python."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


# ---- in the account ----------------------------------------------------------------------------------------------
def try_in_account(
    session: Any,
    stack_name: str,
    template: Template,
    given: Mapping[str, str],
    report: Report,
) -> None:
    """Run the new code beside the running stack, and have it answer.

    :param template: with the code's place in its bucket.
    :param given: parameters that this deployment sets.
    :raises CandidateFailed: it does not answer as it should.
    """
    client = session.client("lambda")
    running = _running_function(client, f"{stack_name}-{API.name}")
    if running is None:
        report("The new version is not tried beforehand: there is no running function whose role and network it has.")
        return
    properties = template["Resources"][API.logical_id]["Properties"]
    variables, missing = variables_of(template, given, running.get("Environment", {}).get("Variables", {}))
    if missing:
        report(f"The new version is not tried beforehand: it needs {', '.join(missing)}, which this deployment makes.")
        return
    name = f"{stack_name}-candidate"
    _delete(client, name)
    try:
        client.create_function(
            FunctionName=name,
            Description="A new version of the API, tried before it is deployed. Deleted afterwards.",
            Runtime=properties["Runtime"],
            Handler=properties["Handler"],
            Role=running["Role"],
            Code={"S3Bucket": properties["CodeUri"]["Bucket"], "S3Key": properties["CodeUri"]["Key"]},
            MemorySize=properties["MemorySize"],
            Timeout=properties["Timeout"],
            Architectures=properties.get("Architectures", ["x86_64"]),
            Environment={"Variables": variables},
            **_network_of(running),
        )
        _wait_until_active(client, name)
        wrong = [line for request, status in REQUESTS.items() if (line := _wrong_answer(client, name, request, status))]
        if wrong and not _answers_health(client, running["FunctionName"]):
            # What is away is away for both, and this deployment may be what repairs it.
            report("The running version does not answer its health check either, so the new one goes on.")
            wrong = [line for line in wrong if "/health" not in line]
        if wrong:
            raise CandidateFailed(
                "Not deployed: the new version does not answer as it should.\n  "
                + "\n  ".join(wrong)
                + "\nNothing was changed."
            )
        report(f"The new version answers {len(REQUESTS)} requests as it should.")
    finally:
        _delete(client, name)


def variables_of(
    template: Template, given: Mapping[str, str], running: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """The API function's variables after the deployment, as far as they can be told before it.

    :returns: variables, and the names of those that only the deployment makes.
    """
    found: dict[str, str] = {}
    missing = []
    for variable, value in template["Resources"][API.logical_id]["Properties"]["Environment"]["Variables"].items():
        parameter = _parameter_of(value)
        if isinstance(value, str):
            found[variable] = value
        elif parameter in given:
            found[variable] = given[parameter]
        elif variable in running:
            found[variable] = running[variable]
        elif parameter in template["Parameters"] and "Default" in template["Parameters"][parameter]:
            found[variable] = str(template["Parameters"][parameter]["Default"])
        else:
            missing.append(variable)
    return found, missing


def _parameter_of(value: Any) -> str:
    """The parameter whose value a variable takes: alone, as a list, or where a condition chooses it."""
    if not isinstance(value, dict):
        return ""
    if "Ref" in value:
        return str(value["Ref"])
    if "Fn::Join" in value:
        return _parameter_of(value["Fn::Join"][1])
    if "Fn::If" in value:
        return _parameter_of(value["Fn::If"][2])
    return ""


def _running_function(client: Any, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.get_function_configuration(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return None
    return found


def _network_of(running: Mapping[str, Any]) -> dict[str, Any]:
    network = running.get("VpcConfig") or {}
    if not network.get("SubnetIds"):
        return {}
    return {"VpcConfig": {"SubnetIds": network["SubnetIds"], "SecurityGroupIds": network["SecurityGroupIds"]}}


def _wait_until_active(client: Any, name: str) -> None:
    client.get_waiter("function_active_v2").wait(
        FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": READY_SECONDS}
    )


def _delete(client: Any, name: str) -> None:
    try:
        client.delete_function(FunctionName=name)
    except client.exceptions.ResourceNotFoundException:
        return


def _answers_health(client: Any, name: str) -> bool:
    return not _wrong_answer(client, name, ("GET", "/health"), 200)


def _wrong_answer(client: Any, name: str, request: tuple[str, str], status: int) -> str:
    """What is wrong with an answer; nothing when it is right."""
    method, path = request
    try:
        answer = client.invoke(FunctionName=name, LogType="Tail", Payload=json.dumps(gateway_event(method, path)))
    except ClientError as error:
        return f"{method} {path}: Lambda refuses: {error}"
    body = answer["Payload"].read().decode()
    log = _last_lines(base64.b64decode(answer.get("LogResult", "")).decode(errors="replace"), 8)
    if answer.get("FunctionError"):
        return f"{method} {path}: the function crashes: {body[:SHOWN_CHARACTERS]}\n{log}"
    try:
        found = json.loads(body).get("statusCode")
    except (ValueError, AttributeError):
        found = None
    if found == status:
        return ""
    return f"{method} {path}: {status} was expected, and {found} is the answer" + (f"\n{log}" if log else "")


def gateway_event(method: str, path: str) -> dict[str, Any]:
    """A request without a session as API Gateway hands it to a function (AWS: "Lambda proxy integrations")."""
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": {"Host": "candidate.invalid", "User-Agent": "strongroom deploy"},
        "multiValueHeaders": {"Host": ["candidate.invalid"], "User-Agent": ["strongroom deploy"]},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": path,
            "httpMethod": method,
            "path": path,
            "requestId": "candidate",
            "identity": {"sourceIp": "192.0.2.1"},
        },
        "body": None,
        "isBase64Encoded": False,
    }


def _last_lines(text: str, count: int) -> str:
    return "\n".join(text.strip().splitlines()[-count:])[-SHOWN_CHARACTERS:]
