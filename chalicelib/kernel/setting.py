"""What a setting is: how its variable is read and checked, its default, and how people and the template are told of it.

The table in docs/settings.md, the template's parameters and the functions' variables follow from this description, so
that a new setting is written down once. Plain classes: a dataclass costs half a millisecond of each cold start.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

from chalicelib.kernel.addresses import is_email_address

KEY = "setting"
#: Names of functions as in infra/functions.py. What only the API needs is the rule.
API_ONLY = ("api",)
EVERY_FUNCTION = ("*",)


class ConfigurationError(Exception):
    """A setting is missing or wrong; the message names the variable and says what it should be."""


class Parameter:
    """How the operator gives a setting to a stack; what is not said here is as in the setting.

    :param default: on AWS. An empty text leaves the application's own default.
    :param high: the largest number on AWS.
    :param pattern: the parameter is a text of this form. CloudFormation may write a large number with an exponent, so
        that numbers beyond some millions are texts.
    :param functions: names of the functions that get the variable.
    """

    __slots__ = ("default", "description", "functions", "high", "pattern")

    def __init__(
        self,
        description: str | None,
        *,
        default: int | str | None = None,
        high: int | None = None,
        pattern: str | None = None,
        functions: tuple[str, ...] = API_ONLY,
    ) -> None:
        self.description = description
        self.default = default
        self.high = high
        self.pattern = pattern
        self.functions = functions


class Setting:
    """One setting: ``parse`` takes the variable's name and its text, which is not empty.

    :param default: without the variable; None for none.
    :param bounds: of a whole number.
    :param choices: the texts that are allowed, where they are few.
    """

    __slots__ = ("about", "bounds", "choices", "default", "parameter", "parse", "required")

    def __init__(
        self,
        about: str,
        parse: Callable[[str, str], Any],
        default: Any = None,
        parameter: Parameter | None = None,
        *,
        required: bool = False,
        bounds: tuple[int, int] | None = None,
        choices: Sequence[str] = (),
    ) -> None:
        self.about = about
        self.parse = parse
        self.default = default
        self.parameter = parameter
        self.required = required
        self.bounds = bounds
        self.choices = choices

    def read(self, variable: str, variables: Mapping[str, str]) -> Any:
        """:raises ConfigurationError: naming the variable, what it holds (secrets excepted) and what it should hold."""
        raw = variables.get(variable, "").strip()
        if raw:
            return self.parse(variable, raw)
        if self.required:
            raise ConfigurationError(f"{variable} is not set")
        return self.default


def _field(setting: Setting, *, secret: bool = False) -> Any:
    return field(repr=not secret, metadata={KEY: setting})


def text(about: str, default: str) -> Any:
    """Any text."""
    return _field(Setting(about, lambda _, raw: raw, default))


def integer(about: str, default: int, low: int, high: int, parameter: Parameter | None = None) -> Any:
    """A whole number within bounds, both included."""

    def parse(variable: str, raw: str) -> int:
        try:
            value = int(raw)
        except ValueError:
            raise ConfigurationError(f"{variable} must be a whole number, not {raw!r}") from None
        if not low <= value <= high:
            raise ConfigurationError(f"{variable} must be from {low} to {high}, not {value}")
        return value

    return _field(Setting(about, parse, default, parameter, bounds=(low, high)))


def boolean(about: str, default: bool) -> Any:
    """``true`` or ``false``, in any case."""

    def parse(variable: str, raw: str) -> bool:
        if raw.lower() not in ("true", "false"):
            raise ConfigurationError(f"{variable} must be true or false, not {raw.lower()!r}")
        return raw.lower() == "true"

    return _field(Setting(about, parse, default))


def choice(about: str, default: str, choices: tuple[str, ...], parameter: Parameter | None = None) -> Any:
    """One of a few texts."""

    def parse(variable: str, raw: str) -> str:
        if raw not in choices:
            raise ConfigurationError(f"{variable} must be one of {', '.join(choices)}, not {raw!r}")
        return raw

    return _field(Setting(about, parse, default, parameter, choices=choices))


def rate(about: str, default: str, parameter_description: str) -> Any:
    """Requests in a time; a parameter of the stack by its nature."""

    def parse(variable: str, raw: str) -> str:
        if not all(re.fullmatch(r"\s*[1-9]\d*\s*/\s*(second|minute|hour|day)\s*", part) for part in raw.split(";")):
            raise ConfigurationError(f"{variable} must be limits such as 5/minute or 200/day;50/hour, not {raw!r}")
        return raw

    return _field(Setting(about, parse, default, Parameter(parameter_description)))


def matching(about: str, pattern: str, wanted: str) -> Any:
    """A text of a form, without a default."""

    def parse(variable: str, raw: str) -> str:
        if re.fullmatch(pattern, raw) is None:
            raise ConfigurationError(f"{variable} must be {wanted}, not {raw!r}")
        return raw

    return _field(Setting(about, parse, required=True))


def url(
    about: str,
    schemes: tuple[str, ...],
    parameter: Parameter | None = None,
    *,
    required: bool = False,
    secret: bool = False,
) -> Any:
    """A URL of one of these schemes.

    :param secret: not shown with the settings.
    """

    def parse(variable: str, raw: str) -> str:
        if not _is_url(raw, schemes):
            # The value itself may carry a password, so the message leaves it out.
            wanted = " or ".join(f"{scheme}://" for scheme in schemes)
            raise ConfigurationError(f"{variable} must be a URL that starts with {wanted}")
        return raw

    return _field(Setting(about, parse, None, parameter, required=required), secret=secret)


def url_with(about: str, placeholder: str, parameter: Parameter) -> Any:
    """An address of a web page with a place in it for something; none without the variable."""

    def parse(variable: str, raw: str) -> str:
        if not _is_url(raw, ("https", "http")) or raw.count(placeholder) != 1 or re.search(r"\s", raw):
            wanted = f"a URL with {placeholder} in it once, such as https://app.example.com/join#token={placeholder}"
            raise ConfigurationError(f"{variable} must be {wanted}, not {raw!r}")
        return raw

    return _field(Setting(about, parse, None, parameter))


def address(about: str, parameter: Parameter) -> Any:
    """A plain e-mail address; none without the variable."""

    def parse(variable: str, raw: str) -> str:
        if not is_email_address(raw):
            raise ConfigurationError(f"{variable} must be an e-mail address such as a@example.com, not {raw!r}")
        return raw

    return _field(Setting(about, parse, None, parameter))


def origins(about: str) -> Any:
    """Origins of web pages, comma separated; none without the variable."""

    def parse(variable: str, raw: str) -> tuple[str, ...]:
        found = tuple(part.strip().rstrip("/") for part in raw.split(",") if part.strip())
        for origin in found:
            if not re.fullmatch(r"https?://[^/\s*]+", origin):
                wanted = "a comma-separated list of origins such as https://app.example.com"
                raise ConfigurationError(f"{variable} must be {wanted}, not {origin!r}")
        return found

    return _field(Setting(about, parse, ()))


def hosts(about: str, parameter: Parameter | None = None) -> Any:
    """Host names or addresses, comma separated; none without the variable."""

    def parse(variable: str, raw: str) -> tuple[str, ...]:
        found = tuple(part.strip().lower() for part in raw.split(",") if part.strip())
        for host in found:
            if not re.fullmatch(r"[a-z0-9._:-]{1,253}", host):
                wanted = "a comma-separated list of hosts such as hooks.example.com"
                raise ConfigurationError(f"{variable} must be {wanted}, not {host!r}")
        return found

    return _field(Setting(about, parse, (), parameter=parameter))


def _is_url(raw: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(raw)
        # Asking for the port is what checks it.
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
