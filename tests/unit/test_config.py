"""Configuration: typed, checked at the start, and each fault a sentence that names its variable."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

from chalicelib.kernel.config import ConfigurationError, Settings, described, load
from tests.unit.cloud import ENVIRONMENT

REQUIRED = (
    *("TABLE_PREFIX", "TEMP_BUCKET", "PERMANENT_BUCKET", "AUDIT_BUCKET", "UPLOADS_QUEUE_URL", "WEBHOOKS_QUEUE_URL"),
)
MINIMAL = {name: ENVIRONMENT[name] for name in REQUIRED}


def test_defaults_are_those_of_production() -> None:
    settings = load(MINIMAL)
    assert settings.cookie_secure is True
    assert settings.bcrypt_cost == 12
    assert settings.session_ttl_seconds == 24 * 3600
    assert settings.max_upload_bytes == 50 * 1024 * 1024
    assert settings.max_direct_upload_bytes == 5 * 1024**4
    assert settings.cors_origins == ()
    assert settings.rate_limit_login_per_address == "5/minute"
    assert settings.rate_limit_uploads == "10/minute"
    assert settings.rate_limit_anonymous == "200/day;50/hour"
    assert settings.download_url_ttl_seconds == 300
    assert settings.log_format == "json"
    assert settings.s3_addressing_style == "virtual"
    assert settings.cache_url is None


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, "", "   "])
def test_missing_variable_is_named(name: str, value: str | None) -> None:
    environ = {key: text for key, text in MINIMAL.items() if key != name}
    if value is not None:
        environ[name] = value
    with pytest.raises(ConfigurationError, match=f"^{name} is not set$"):
        load(environ)


WRONG = {
    "TABLE_PREFIX": ["a b", "x/y", "ü", "x" * 300],
    "TEMP_BUCKET": ["UPPER", "a", "with space", "s3://bucket", "x" * 64, "-start"],
    "PERMANENT_BUCKET": ["UPPER", "a/b"],
    "AUDIT_BUCKET": ["UPPER", "a/b"],
    "AUDIT_LOCK_DAYS": ["-1", "3651", "for ever"],
    "UPLOADS_QUEUE_URL": ["uploads", "ftp://x/y", "https://", "http://[", "https://host:port/x"],
    "DEAD_LETTER_QUEUE_URL": ["dead", "://"],
    "WEBHOOKS_QUEUE_URL": ["webhooks", "ftp://x/y"],
    "WEBHOOKS_DEAD_LETTER_QUEUE_URL": ["dead", "://"],
    "CACHE_URL": [
        "localhost:6379",
        "http://localhost",
        "redis://",
        "redis://[",
        "redis://host:port/0",
        "redis://h:99999",
    ],
    "COOKIE_SECURE": ["yes", "1", "truthy"],
    "SESSION_TTL_SECONDS": ["0", "-1", "abc", "1.5", "1e3", "999999999", "59"],
    "SESSION_IDLE_SECONDS": ["0", "1799", "2592001", "12h"],
    "BCRYPT_COST": ["3", "17", "x", "99"],
    "MAX_DIRECT_UPLOAD_BYTES": ["0", "-5", "50MB", str(10**18)],
    "MAX_UPLOAD_BYTES": ["0", "x", str(10**10)],
    "CORS_ORIGINS": ["*", "example.com", "https://x/path", "https://a.example,*", "null", "https://*.example.com"],
    "RATE_LIMIT_LOGIN_PER_ADDRESS": [
        "5",
        "5 per minute",
        "0/minute",
        "-1/minute",
        "5/fortnight",
        "5/minute;",
        "x/hour",
    ],
    "RATE_LIMIT_LOGIN_PER_USERNAME": ["lots"],
    "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS": ["many"],
    "RATE_LIMIT_LOGIN_PER_DEVICE": ["many"],
    "RATE_LIMIT_PASSWORD": ["many"],
    "RATE_LIMIT_SECOND_FACTOR": ["many"],
    "RATE_LIMIT_TICKETS": ["many"],
    "RATE_LIMIT_HEALTH": ["many"],
    "RATE_LIMIT_UPLOADS": ["/minute"],
    "RATE_LIMIT_ANONYMOUS": ["200/day,50/hour"],
    "RATE_LIMIT_SIGNED_IN": ["1200"],
    "RATE_LIMIT_API_KEY": ["1200"],
    "RATE_LIMIT_SIGN_UP": ["many"],
    "RATE_LIMIT_INVITATIONS": ["many"],
    "SIGN_UP": ["yes", "OPEN"],
    "TRUSTED_PROXIES": ["-1", "6", "all"],
    "MAX_PROCESSING_PER_ORGANIZATION": ["0", "1001", "many"],
    "RATE_COUNTERS": ["redis", "Table"],
    "INVITATION_URL": [
        "https://app.example.com/join",
        "app.example.com/{token}",
        "https://x.example/{token}/{token}",
        "https://x.example/a b{token}",
        "javascript:{token}",
    ],
    "MAIL_FROM": ["nobody", "Rooms <rooms@example.com>", "a@example.com,b@example.com", "a@b", "rooms@ex ample.com"],
    "LOG_FORMAT": ["xml", "JSON"],
    "LOG_LEVEL": ["verbose", "info"],
    "DEFAULT_QUOTA_BYTES": ["-1", "1TB"],
    "MAX_OPEN_UPLOADS_PER_USER": ["0", "1001", "many"],
    "WEBHOOK_ALLOWED_HOSTS": ["http://x", "a b", "*"],
    "EVENT_RETENTION_DAYS": ["29", "3651", "a year"],
    "MAX_OPEN_PERCENT_PER_USER": ["0", "101", "half"],
    "DEFAULT_QUOTA_FILES": ["-1", "many"],
    "DOWNLOAD_URL_TTL_SECONDS": ["0", "604801", "x"],
    "UPLOAD_URL_TTL_SECONDS": ["0", "604801", "x"],
    "MULTIPART_THRESHOLD_BYTES": ["1", "6000000000"],
    "S3_PUBLIC_ENDPOINT_URL": ["localhost:4566", "s3://x"],
    "S3_ADDRESSING_STYLE": ["auto", "PATH"],
    "AWS_FAST_PATH": ["true", "OFF"],
    "DOWNLOAD_PINS_VERSION": ["yes", "0"],
    "MULTIPART_DAYS": ["0", "8", "week"],
    "PART_CHECKSUMS": ["sha256", "CRC64NVME"],
    "HASH_AT_ONCE_BYTES": ["-1", "53687091201", "16GiB"],
    "SHA256_RELAY": ["true", "ON"],
    "PROCESSING_STEP_SECONDS": ["0", "301", "soon"],
    "PROCESSING_LEASE_SECONDS": ["0", "86401", "soon"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_wrong_value_is_named_and_explained(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load({**MINIMAL, name: value})
    sentence = str(raised.value)
    assert sentence.startswith(f"{name} must be ")
    assert len(sentence) > len(name) + 15


@pytest.mark.parametrize("name", sorted(described()))
def test_default_would_pass_its_own_check(name: str) -> None:
    setting = described()[name]
    assert setting.about
    if setting.required or setting.default in (None, ()):
        return
    assert setting.parse(name, str(setting.default)) == setting.default


def test_variable_of_each_setting_is_its_name_in_capitals() -> None:
    assert set(described()) == {field.name.upper() for field in fields(Settings)}


def test_every_setting_was_tried() -> None:
    settings = {field.name.upper() for field in fields(Settings)}
    assert settings - set(WRONG) == {"STAGE"}, "any text is a stage"


@pytest.mark.parametrize(
    "url",
    [
        "http://:hunter2-secret@cache.example:6379",
        "redis://:hunter2-secret@",
        "redis://user:hunter2-secret@[::1",
        "rediss://:hunter2-secret@cache.example:notaport/0",
        "hunter2-secret",
        "redis://:hunter2-secret/@cache.example:6379",
    ],
)
def test_password_of_the_cache_is_in_no_message(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load({**MINIMAL, "CACHE_URL": url})
    assert "hunter2" not in f"{raised.value!r} {raised.value.__cause__!r}"
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_password_of_the_cache_is_not_shown_with_the_settings() -> None:
    settings = load({**MINIMAL, "CACHE_URL": "rediss://:hunter2-secret@cache.example:6379/0"})
    assert settings.cache_url
    assert "hunter2" not in repr(settings)


RIGHT: dict[str, dict[str, object]] = {
    "CACHE_URL": {
        url: url for url in ("redis://127.0.0.1:6379/0", "rediss://:p%40ss@cache.example:6380", "redis://[::1]:6379")
    },
    "CORS_ORIGINS": {
        "https://app.example.com": ("https://app.example.com",),
        " https://a.example , http://localhost:5173/ ": ("https://a.example", "http://localhost:5173"),
        "": (),
    },
    "RATE_LIMIT_ANONYMOUS": {limit: limit for limit in ("1/second", "200/day;50/hour", "200 / day ; 50 / hour")},
    "COOKIE_SECURE": {"TRUE": True, "False": False, " true ": True},
    "MAX_DIRECT_UPLOAD_BYTES": {"1": 1, str(50 * 2**40): 50 * 2**40},
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in RIGHT.items() for value in values])
def test_right_value_is_taken(name: str, value: str) -> None:
    taken = getattr(load({**MINIMAL, name: value}), name.lower())
    expected = RIGHT[name][value]
    assert taken == expected


def test_origins_are_a_list_without_slashes() -> None:
    settings = load({**MINIMAL, "CORS_ORIGINS": " https://a.example/ ,http://localhost:5173"})
    assert settings.cors_origins == ("https://a.example", "http://localhost:5173")


def test_form_takes_no_more_than_an_upload_may_have() -> None:
    settings = load({**MINIMAL, "MAX_DIRECT_UPLOAD_BYTES": "1000", "MAX_UPLOAD_BYTES": "5000"})
    assert settings.max_upload_bytes == 1000


def test_settings_can_not_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        load(MINIMAL).stage = "other"  # type: ignore[misc]


def test_lease_outlives_the_longest_function() -> None:
    assert load(MINIMAL).processing_lease_seconds > 900
