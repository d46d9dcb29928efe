"""What becomes of the template when CloudFormation has run SAM over it."""

from __future__ import annotations

from typing import Any

from infra import gateway
from infra.template import Template, everything_but_chalice, merge

from .transform import transformed

PROD = everything_but_chalice("prod")
DEFAULTS = {name: str(parameter.get("Default", "")) for name, parameter in PROD["Parameters"].items()}


def packaged_api() -> Template:
    """The API as Chalice packages it, without its routes, and what is laid over it."""
    definition: dict[str, Any] = {"swagger": "2.0", "info": {"version": "1.0", "title": "strongroom"}, "paths": {}}
    definition |= gateway.definition_extras()
    api = {"Type": "AWS::Serverless::Api", "Properties": {"StageName": "api", "DefinitionBody": definition}}
    laid_over = {name: PROD["Resources"][name] for name in ("RestAPI", "AccessLogs")}
    return {
        **PROD,
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": merge({"RestAPI": api}, laid_over),
        "Outputs": {},
    }


def deployment_of(changed: dict[str, str]) -> str:
    """The logical id of the API's deployment. When it changes, the stage gets the new definition."""
    noted = gateway.with_noted_parameters(packaged_api(), {**DEFAULTS, **changed})
    names = [
        name for name, made in transformed(noted)["Resources"].items() if made["Type"] == "AWS::ApiGateway::Deployment"
    ]
    assert len(names) == 1
    return str(names[0])


def test_changed_parameter_of_the_definition_deploys_the_api_again() -> None:
    plain = deployment_of({})
    first, second = ({"CorsOrigins": f"https://{name}.example"} for name in ("a", "b"))
    closed = {"DefaultEndpoint": "false"}
    assert len({plain, *map(deployment_of, (first, second, closed))}) == 4
    assert deployment_of({"LogLevel": "DEBUG"}) == plain, "the definition does not depend on it"


def test_definition_depends_on_what_was_tried_alone() -> None:
    """Another parameter in it would have to be tried as well."""
    assert gateway.parameters_of(PROD, gateway.definition_extras()) == {"CorsOrigins", "DefaultEndpoint"}


def test_firewall_stands_before_the_stage_that_sam_makes() -> None:
    template = packaged_api()
    template["Resources"] |= {name: PROD["Resources"][name] for name in ("Firewall", "FirewallBeforeApi")}
    resources = transformed(template)["Resources"]
    [stage] = [name for name, made in resources.items() if made["Type"] == "AWS::ApiGateway::Stage"]
    _, named = resources["FirewallBeforeApi"]["Properties"]["ResourceArn"]["Fn::Sub"]
    assert named == {"ApiStage": {"Ref": stage}}
