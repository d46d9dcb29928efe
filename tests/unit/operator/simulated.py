"""A session of AWS in which stacks, functions and the gateway are simulated, and all else is moto.

Moto's CloudFormation knows no SAM. Each simulation is the rule that a test is about, and no more; what it is asked is
heard as a client's call is (tests/aws_calls.py).
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import boto3
import httpx
from botocore.exceptions import ClientError

from infra.functions import API
from tests.aws_calls import call_of_a_simulation, unheard

REGION = "eu-central-1"
URL = "https://api.example.com/api"


def refusal(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Simulated")


class _Service:
    """Each method is an operation, and is heard before it does anything."""

    service = ""

    def __init__(self, session: SimulatedSession) -> None:
        self.session = session
        self.exceptions = SimpleNamespace(ResourceNotFoundException=ClientError)

    def __getattribute__(self, name: str) -> Any:
        found = object.__getattribute__(self, name)
        if name.startswith("_") or not callable(found) or name in ("get_paginator", "get_waiter", "paginate", "wait"):
            return found

        def call(**arguments: Any) -> Any:
            operation = "".join(part.capitalize() for part in name.split("_"))
            call_of_a_simulation(f"{object.__getattribute__(self, 'service')}.{operation}")
            return found(**arguments)

        return call


class Stacks(_Service):
    """CloudFormation: stacks that are changed at once, and the events of their last change."""

    service = "cloudformation"

    def __init__(self, session: SimulatedSession, when_deleted: Callable[[], None] = lambda: None) -> None:
        super().__init__(session)
        self.stack: dict[str, Any] | None = None
        self.template: dict[str, Any] = {}
        self.planned: dict[str, Any] = {}
        self.when_deleted = when_deleted

    def describe_stacks(self, StackName: str) -> dict[str, Any]:
        if self.stack is None:
            raise refusal("ValidationError", f"Stack with id {StackName} does not exist")
        return {"Stacks": [json.loads(json.dumps(self.stack))]}

    def get_template(self, StackName: str, TemplateStage: str) -> dict[str, Any]:
        return {"TemplateBody": json.loads(json.dumps(self.template))}

    def create_change_set(
        self,
        StackName: str,
        Parameters: list[dict[str, Any]],
        TemplateBody: str = "",
        TemplateURL: str = "",
        **_: Any,
    ) -> dict[str, str]:
        if TemplateURL:
            bucket, _separator, key = urlsplit(TemplateURL).path.lstrip("/").partition("/")
            # By what lies there and no client: CloudFormation reads it.
            TemplateBody = self.session.object(bucket, key)
        template: dict[str, Any] = json.loads(TemplateBody)
        before = {one["ParameterKey"]: one["ParameterValue"] for one in (self.stack or {}).get("Parameters", [])}
        defaults = {name: str(one.get("Default", "")) for name, one in template["Parameters"].items()}
        given = {one["ParameterKey"]: one.get("ParameterValue", before.get(one["ParameterKey"])) for one in Parameters}
        values = {**defaults, **given}
        self.planned = {"name": StackName, "template": template, "values": values}
        if self.stack is None:
            self.stack = {"StackName": StackName, "StackId": StackName, "StackStatus": "REVIEW_IN_PROGRESS"}
        return {"StackId": StackName}

    def describe_change_set(self, **_: Any) -> dict[str, Any]:
        assert self.stack is not None
        now = {one["ParameterKey"]: one["ParameterValue"] for one in self.stack.get("Parameters", [])}
        if self.template == self.planned["template"] and now == self.planned["values"]:
            return {"Status": "FAILED", "StatusReason": "The submitted information didn't contain changes."}
        change = {"Action": "Modify", "LogicalResourceId": API.logical_id, "ResourceType": "AWS::Lambda::Function"}
        return {"Status": "CREATE_COMPLETE", "Changes": [{"ResourceChange": change}]}

    def delete_change_set(self, **_: Any) -> None:
        self.planned = {}

    def execute_change_set(self, **_: Any) -> None:
        assert self.stack is not None
        first = self.stack["StackStatus"] == "REVIEW_IN_PROGRESS"
        self.template = self.planned["template"]
        self.stack |= {
            "StackStatus": "CREATE_COMPLETE" if first else "UPDATE_COMPLETE",
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value} for name, value in self.planned["values"].items()
            ],
            "Outputs": [
                {"OutputKey": name, "OutputValue": value} for name, value in self._outputs(self.planned["name"]).items()
            ],
        }

    def update_termination_protection(self, EnableTerminationProtection: bool, **_: Any) -> None:
        assert self.stack is not None
        self.stack["EnableTerminationProtection"] = EnableTerminationProtection

    def delete_stack(self, StackName: str) -> None:
        assert self.stack is not None
        if self.stack.get("EnableTerminationProtection"):
            raise refusal("ValidationError", "TerminationProtection is enabled")
        with unheard():
            self.when_deleted()
        self.stack["StackStatus"] = "DELETE_COMPLETE"

    def get_paginator(self, _: str) -> Stacks:
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        call_of_a_simulation("cloudformation.DescribeStackEvents")
        return [{"StackEvents": []}]

    def _outputs(self, stack_name: str) -> dict[str, str]:
        bucket: str = self.template["Resources"]["TempBucket"]["Properties"]["BucketName"]["Fn::Sub"]
        for name, value in {"StackName": stack_name, "AccountId": "123456789012", "Region": REGION}.items():
            bucket = bucket.replace(f"${{AWS::{name}}}", value)
        return {"RestAPIId": "api", "ApiUrl": URL, "TablePrefix": stack_name, "TempBucket": bucket}

    @property
    def _code(self) -> str:
        """Where the functions' code is."""
        uri: str = self.template["Resources"][API.logical_id]["Properties"]["CodeUri"]["Key"]
        return uri


class Functions(_Service):
    """Lambda: the functions of the stack, and others by their names. Each answers what is expected of a good one."""

    service = "lambda"

    def __init__(self, session: SimulatedSession) -> None:
        super().__init__(session)
        self.made: set[str] = set()

    def get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": {"ConcurrentExecutions": 1000}}

    def get_function_configuration(self, FunctionName: str) -> dict[str, Any]:
        if self.session.stacks.stack is None:
            raise refusal("ResourceNotFoundException")
        variables = self.session.stacks.template["Resources"][API.logical_id]["Properties"]["Environment"]["Variables"]
        return {
            "FunctionName": FunctionName,
            "Role": "role",
            "Runtime": self.session.stacks.template["Resources"][API.logical_id]["Properties"]["Runtime"],
            "Environment": {"Variables": dict.fromkeys(variables, "as it runs")},
        }

    def create_function(self, FunctionName: str, **_: Any) -> None:
        if FunctionName in self.made:
            raise refusal("ResourceConflictException")
        self.made.add(FunctionName)

    def delete_function(self, FunctionName: str) -> None:
        if FunctionName not in self.made:
            raise refusal("ResourceNotFoundException")
        self.made.remove(FunctionName)

    def put_function_concurrency(self, FunctionName: str, ReservedConcurrentExecutions: int) -> None:
        if self.session.stacks.stack is None:
            raise refusal("ResourceNotFoundException")

    def invoke(self, Payload: str, **_: Any) -> dict[str, Any]:
        event = json.loads(Payload)
        status = 200 if event["path"] == "/health" else 401
        return {"Payload": io.BytesIO(json.dumps({"statusCode": status, "body": "{}"}).encode())}

    def get_waiter(self, _: str) -> Functions:
        return self

    def wait(self, **_: Any) -> None:
        call_of_a_simulation("lambda.GetFunction")


class Gateway(_Service):
    """API Gateway: an account without a role for logs, and an API that has its error answers from its definition."""

    service = "apigateway"
    meta = SimpleNamespace(endpoint_url=f"https://apigateway.{REGION}.amazonaws.com")

    def get_account(self) -> dict[str, Any]:
        return {}

    def get_gateway_responses(self, restApiId: str) -> dict[str, Any]:
        from infra.gateway import gateway_responses

        return {"items": [{"responseType": kind, **answer} for kind, answer in gateway_responses().items()]}


class SimulatedSession:
    """In the place of a boto3 session."""

    region_name = REGION

    def __init__(self) -> None:
        self._real: Any = boto3.Session(region_name=REGION)
        #: Making a client takes longer than asking it.
        self._clients: dict[tuple[str, bool], Any] = {}
        self.start_anew()

    def start_anew(self) -> None:
        """Without any stack."""
        self.stacks, self.functions, self.gateway = Stacks(self), Functions(self), Gateway(self)
        #: Where a package is that does not answer once it is deployed.
        self.broken: set[str] = set()

    def client(self, service: str, **options: Any) -> Any:
        simulated: Mapping[str, Any] = {
            "cloudformation": self.stacks,
            "lambda": self.functions,
            "apigateway": self.gateway,
        }
        if service in simulated:
            return simulated[service]
        wanted = service, "config" in options
        if wanted not in self._clients:
            self._clients[wanted] = self._real.client(service, **options)
        return self._clients[wanted]

    def object(self, bucket: str, key: str) -> str:
        from moto.s3.models import s3_backends

        for backends in s3_backends.values():
            found = backends["aws"].buckets.get(bucket)
            if found is not None and key in found.keys:
                text: str = found.keys[key].value.decode()
                return text
        raise AssertionError(f"There is no {key}")

    def transport(self) -> httpx.BaseTransport:
        """To the deployed API."""

        def answer(request: httpx.Request) -> httpx.Response:
            if self.stacks._code in self.broken:
                return httpx.Response(502, text="Internal server error")
            return httpx.Response(200 if request.url.path.endswith("/health") else 401, text='{"error": "x"}')

        return httpx.MockTransport(answer)
