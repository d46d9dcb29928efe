"""What an operator gives to a deployment is checked by the application's own settings, before anything is packaged."""

from __future__ import annotations

import pytest

from chalicelib.kernel.config import described, load
from infra import functions
from infra.commands import deployments, options
from infra.deployment import DeploymentError
from infra.parameters import (
    STAGE_PATTERN,
    WrongParameter,
    changed_parameters,
    check_kept,
    check_parameters,
    check_together,
    declared,
    read_pairs,
    secrets_of,
    without_secrets,
)
from infra.release import deploy
from infra.stages import check_bucket_names
from infra.template.generated import camel_case
from tests.aws_calls import aws_calls
from tests.unit.operator.conftest import Operator
from tests.unit.operator.simulated import SimulatedSession
from tests.unit.world import World

WRONG = {
    "RateLimitUploads=lots": "RateLimitUploads must be limits such as 5/minute or 200/day;50/hour, not 'lots'.",
    "RateLimitUplaods=5/minute": "The template has no parameter RateLimitUplaods. Did you mean RateLimitUploads?",
    "ratelimituploads=5/minute": "The template has no parameter ratelimituploads. Did you mean RateLimitUploads?",
    "LogLevel=debug": "LogLevel must be one of DEBUG, INFO, WARNING, ERROR, not 'debug'.",
    "SignUp=yes": "SignUp must be one of closed, open, not 'yes'.",
    "SessionIdleSeconds=5": "SessionIdleSeconds must be from 1800 to 2592000, not 5.",
    "MailFrom=nobody": "MailFrom must be an e-mail address such as a@example.com, not 'nobody'.",
    "CorsOrigins=app.example.com": "CorsOrigins must be a comma-separated list of origins such as ",
    "InvitationUrl=https://app.example.com/join": "InvitationUrl must be a URL with {token} in it once",
    "CacheUrl=http://:a-password@cache": "CacheUrl must be a URL that starts with redis:// or rediss://.",
    "MaxProcessConcurrency=1": "MaxProcessConcurrency must be 2 to 1000, or empty, not '1'.",
    "ApiRateLimit=many": "ApiRateLimit must be a number, not 'many'.",
    "ApiRateLimit=0": "ApiRateLimit must be at least 1, not '0'.",
    "LogRetentionDays=31": "LogRetentionDays must be one of 1, 3, 5,",
    "RequireTls=no": "RequireTls must be one of true, false, not 'no'.",
    "Stage=prod": "Stage is no parameter to give: it is what --stage says.",
    "Nonsense=1": "The template has no parameter Nonsense. It has: AlarmEmail, ",
}


@pytest.mark.parametrize("pair", WRONG)
def test_wrong_parameter_is_one_sentence_before_anything_is_packaged(operator: Operator, pair: str) -> None:
    with aws_calls() as made:
        said = operator.refused("deploy", "--stage", "prod", "-p", pair)
    assert said.startswith(WRONG[pair])
    assert "a-password" not in said
    # Whose account it is, and nothing that makes or changes something.
    assert set(made) <= {"sts.GetCallerIdentity"}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"DomainName": "files.example.com"}, "DomainName needs CertificateArn, a certificate of ACM"),
        ({"DefaultEndpoint": "false"}, 'DefaultEndpoint "false" needs a DomainName'),
    ],
)
def test_parameters_that_do_not_go_together_are_told_before_anything_is_packaged(
    world: World, given: dict[str, str], sentence: str
) -> None:
    with aws_calls() as made, pytest.raises(WrongParameter, match=sentence):
        deploy(SimulatedSession(), "prod", given, report=lambda line: None)
    assert made == ["sts.GetCallerIdentity", "cloudformation.DescribeStacks"]


def test_bucket_names_that_would_be_too_long_are_told() -> None:
    check_bucket_names("s" * 16, "eu-central-1", "123456789012")
    check_bucket_names("s" * 14, "ap-southeast-2", "123456789012")
    with pytest.raises(DeploymentError, match="In ap-southeast-2 the name of a stage has at most 14 letters"):
        check_bucket_names("s" * 15, "ap-southeast-2", "123456789012")


def test_what_the_stack_has_counts_for_what_goes_together() -> None:
    stack = {"Parameters": [{"ParameterKey": "DomainName", "ParameterValue": "files.example.com"}]}
    with pytest.raises(WrongParameter, match="DomainName needs CertificateArn"):
        check_together("prod", {}, stack)
    check_together("prod", {"CertificateArn": "arn:aws:acm:x"}, stack)
    check_together("prod", {"DomainName": ""}, stack)
    check_together("prod", {}, None)


def test_defaults_and_what_the_documents_show_are_taken() -> None:
    known = declared("prod")
    defaults = {name: str(parameter["Default"]) for name, parameter in known.items() if "Default" in parameter}
    check_parameters("prod", {name: value for name, value in defaults.items() if name != "Stage"})
    check_parameters(
        "prod",
        {
            "CorsOrigins": "https://app.example.com,https://admin.example.com",
            "CacheUrl": "rediss://:password@host:6379/0",
            "RateLimitAnonymous": "200/day;50/hour",
            "InvitationUrl": "https://app.example.com/join#token={token}",
            "DefaultQuotaBytes": "",
        },
    )


def test_what_passes_is_taken_by_the_functions_too() -> None:
    """A value is read by the same parser as the function's variable, so neither is stricter."""
    required = {
        "TEMP_BUCKET": "temp-bucket", "PERMANENT_BUCKET": "permanent-bucket", "AUDIT_BUCKET": "audit-bucket",
        "TABLE_PREFIX": "strongroom-test", "UPLOADS_QUEUE_URL": "https://queue/", "WEBHOOKS_QUEUE_URL": "https://q/",
    }  # fmt: skip
    for variable, setting in described().items():
        if setting.parameter is None or setting.default is None:
            continue
        default = setting.default if setting.parameter.default is None else setting.parameter.default
        check_parameters("prod", {camel_case(variable): str(default)} if str(default) != "()" else {})
        if str(default) not in ("", "()"):
            load({**required, variable: str(default)})


def test_wrong_parameter_that_the_stack_holds_is_named_until_it_is_given_anew() -> None:
    stack = {"Parameters": [{"ParameterKey": "RateLimitUploads", "ParameterValue": "lots"}]}
    with pytest.raises(WrongParameter, match=r"The stack holds a wrong parameter. RateLimitUploads must be limits"):
        check_kept("prod", {"LogLevel": "INFO"}, stack)
    check_kept("prod", {"RateLimitUploads": "5/minute"}, stack)
    check_kept("prod", {}, None)


def test_only_changed_parameters_are_shown_and_secrets_never() -> None:
    known = declared("prod")
    stack = {
        "Parameters": [
            {"ParameterKey": "RateLimitUploads", "ParameterValue": "10/minute"},
            {"ParameterKey": "LogLevel", "ParameterValue": "INFO"},
            {"ParameterKey": "CacheUrl", "ParameterValue": "****"},
        ]
    }
    given = {"RateLimitUploads": "20/minute", "LogLevel": "INFO", "CacheUrl": "redis://:secret@host/0"}
    assert changed_parameters(given, stack, known) == [
        "  RateLimitUploads: 10/minute -> 20/minute",
        "  CacheUrl: a new value",
    ]
    assert "CacheUrl" in secrets_of(known)
    assert without_secrets({"CacheUrl": "x", "LogLevel": "INFO"}, known) == {"LogLevel": "INFO"}


def test_last_of_two_values_counts_and_a_value_may_hold_the_sign() -> None:
    assert read_pairs(["A=1", "A=2", "B=x=y", "C="]) == {"A": "2", "B": "x=y", "C": ""}


def test_what_commands_know_without_loading_it_is_as_it_is() -> None:
    assert options.STAGE_PATTERN == STAGE_PATTERN
    assert list(deployments.FUNCTION.choices) == [function.name for function in functions.FUNCTIONS]
