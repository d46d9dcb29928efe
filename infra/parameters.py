"""Checks what an operator gives to a deployment, before anything is packaged or sent.

CloudFormation checks a parameter against the template's own rules only, and after the package is uploaded. A value that
passes them and that the application refuses would answer every request with a 500, so the application's own settings
read it here as well.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from chalicelib.kernel.config import Settings, described
from chalicelib.kernel.setting import ConfigurationError
from infra.deployment import DeploymentError
from infra.template import everything_but_chalice
from infra.template.generated import camel_case

#: A bucket's name has at most 63 characters (AWS limit), and ours hold the stage between others.
STAGE_PATTERN = r"[a-z0-9]{1,16}"


class WrongParameter(DeploymentError):
    """A parameter's name or value can't be right. Nothing was sent."""


def is_stage(text: str) -> bool:
    return re.fullmatch(STAGE_PATTERN, text) is not None


def read_pairs(pairs: Iterable[str]) -> dict[str, str]:
    """``NAME=VALUE`` each; of one that is given twice the last counts.

    :raises WrongParameter: there is no name, or no ``=``.
    """
    found = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise WrongParameter(f"{pair!r} is not of the form NAME=VALUE.")
        found[name] = value
    return found


def declared(stage: str) -> dict[str, Any]:
    """Name -> the parameter as the template of this stage declares it."""
    found: dict[str, Any] = everything_but_chalice(stage)["Parameters"]
    return found


def check_parameters(stage: str, given: Mapping[str, str]) -> None:
    """:raises WrongParameter: naming the first that is wrong, what it holds (secrets excepted) and what it should."""
    known = declared(stage)
    for name, value in given.items():
        if name == "Stage":
            raise WrongParameter("Stage is no parameter to give: it is what --stage says.")
        if name not in known:
            raise WrongParameter(f"The template has no parameter {name}.{suggestion(name, known)}")
        check_value(name, value, known[name])


def check_value(name: str, value: str, parameter: Mapping[str, Any]) -> None:
    """
    :param parameter: as the template declares it.
    :raises WrongParameter: the application or the template refuses the value.
    """
    _check_by_setting(name, value, parameter)
    _check_rules(name, value, parameter)


def _check_by_setting(name: str, value: str, parameter: Mapping[str, Any]) -> None:
    if "AllowedValues" in parameter:
        # The template turns the choice into settings: RateCounters=elasticache is an address for the application.
        return
    setting = {camel_case(variable): setting for variable, setting in described().items()}.get(name)
    if setting is not None and value.strip():
        try:
            setting.parse(name, value.strip())
        except ConfigurationError as error:
            raise WrongParameter(f"{error}.") from None


def check_kept(stage: str, given: Mapping[str, str], stack: Mapping[str, Any] | None) -> None:
    """The parameters that an existing stack keeps. One that was set wrongly would stay so, unnoticed.

    :param stack: as CloudFormation describes it; None when there is none.
    :raises WrongParameter: naming the first that is wrong.
    """
    known = declared(stage)
    for name, value in of_stack(stack).items():
        if name in known and name not in given and not known[name].get("NoEcho"):
            try:
                # Not by the template's rules, which may have become narrower.
                _check_by_setting(name, value, known[name])
            except WrongParameter as error:
                raise WrongParameter(f"The stack holds a wrong parameter. {error} Give it anew.") from None


def check_together(stage: str, given: Mapping[str, str], stack: Mapping[str, Any] | None) -> None:
    """The template's rules on several parameters at once, such as a domain and its certificate.

    CloudFormation asks them too, once the package is uploaded; an emulator may not.

    :param stack: as CloudFormation describes it, whose parameters stay unless they are given; None when there is none.
    :raises WrongParameter: with the sentence of the first rule that is broken.
    """
    template = everything_but_chalice(stage)
    defaults = {name: str(parameter.get("Default", "")) for name, parameter in template["Parameters"].items()}
    values = {**defaults, **of_stack(stack), **given}
    for rule in template["Rules"].values():
        if _holds(rule.get("RuleCondition", True), values):
            for assertion in rule["Assertions"]:
                if not _holds(assertion["Assert"], values):
                    raise WrongParameter(assertion["AssertDescription"])


def _holds(node: Any, values: Mapping[str, str]) -> bool:
    """Of the functions for rules (AWS: "Rules" in a template) those that this template uses."""
    if isinstance(node, bool):
        return node
    [(function, arguments)] = node.items()
    if function == "Fn::Not":
        return not _holds(arguments[0], values)
    if function in ("Fn::And", "Fn::Or"):
        found = (_holds(argument, values) for argument in arguments)
        return all(found) if function == "Fn::And" else any(found)
    if function == "Fn::Equals":
        left, right = (values[side["Ref"]] if isinstance(side, dict) else side for side in arguments)
        return bool(left == right)
    raise ValueError(f"A rule of the template uses {function}, which is not read here.")


def changed_parameters(
    given: Mapping[str, str], stack: Mapping[str, Any] | None, known: Mapping[str, Any]
) -> list[str]:
    """A line for each that gets another value; of secrets only that they do."""
    before = of_stack(stack)
    if stack is None:
        return []
    secret = secrets_of(known)
    return [
        f"  {name}: a new value" if name in secret else f"  {name}: {before.get(name, '(not set)')} -> {value}"
        for name, value in given.items()
        if before.get(name) != value
    ]


def without_secrets(values: Mapping[str, str], known: Mapping[str, Any]) -> dict[str, str]:
    secret = secrets_of(known)
    return {name: value for name, value in values.items() if name not in secret}


def secrets_of(known: Mapping[str, Any]) -> set[str]:
    """Parameters that CloudFormation does not show, and those whose setting the application does not."""
    hidden = {camel_case(one.name.upper()) for one in fields(Settings) if not one.repr}
    return {name for name, parameter in known.items() if parameter.get("NoEcho") or name in hidden}


def of_stack(stack: Mapping[str, Any] | None) -> dict[str, str]:
    """Name -> value of the parameters that a stack has; of secrets CloudFormation shows stars.

    :param stack: as CloudFormation describes it; None when there is none.
    """
    return {one["ParameterKey"]: one["ParameterValue"] for one in (stack or {}).get("Parameters", [])}


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to say after the sentence that there is no such name; where nothing is like it, what there is."""
    names = sorted(known)
    lower = {known_name.lower(): known_name for known_name in names}
    like = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    return f" Did you mean {lower[like[0]]}?" if like else f" It has: {', '.join(names)}."


def _check_rules(name: str, value: str, parameter: Mapping[str, Any]) -> None:
    """As CloudFormation does, which matches a pattern against the whole value."""
    # Such a value may be a secret.
    shown = "" if parameter.get("NoEcho") else f", not {value!r}"
    allowed = [str(one) for one in parameter.get("AllowedValues", ())]
    if allowed and value not in allowed:
        raise WrongParameter(f"{name} must be one of {', '.join(allowed)}{shown}.")
    pattern = parameter.get("AllowedPattern")
    if pattern is not None and re.fullmatch(pattern, value) is None:
        wanted = parameter.get("ConstraintDescription", f"of the form {pattern}").rstrip(".")
        raise WrongParameter(f"{name} must be {wanted}{shown}.")
    if parameter["Type"] != "Number":
        return
    try:
        number = float(value)
    except ValueError:
        raise WrongParameter(f"{name} must be a number{shown}.") from None
    low, high = parameter.get("MinValue"), parameter.get("MaxValue")
    if (low is not None and number < low) or (high is not None and number > high):
        bounds = f"from {low} to {high}" if high is not None else f"at least {low}"
        raise WrongParameter(f"{name} must be {bounds}{shown}.")
