"""Configuration: the only reader of the environment in chalicelib.

Everything is read once, on first use, into one frozen :class:`Settings`. A wrong or missing variable stops the
process with a sentence that names it. The standard ``AWS_*`` variables (region, credentials, ``AWS_ENDPOINT_URL`` and
its per-service forms) are read by the AWS libraries themselves and are not repeated here.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypeVar
from urllib.parse import urlsplit

MEBIBYTE = 1024 * 1024
GIBIBYTE = 1024 * MEBIBYTE
TEBIBYTE = 1024 * GIBIBYTE

#: More than anyone has, and far from the 38 digits that a number of DynamoDB can have.
MAX_QUOTA_BYTES = 2**60
MAX_QUOTA_FILES = 10**12

#: bcrypt's own bounds are 4 to 31; each step doubles the work. OWASP's password storage sheet asks for at least 10.
BCRYPT_COST_BOUNDS = (4, 16)

#: A presigned URL signed with SigV4 lives at most seven days (AWS limit).
PRESIGNED_URL_MAX_SECONDS = 7 * 24 * 3600


Choice = TypeVar("Choice", bound=str)


class ConfigurationError(Exception):
    """A setting is missing or wrong; the message names the variable and says what it should be."""


@dataclass(frozen=True)
class Settings:
    """All that can be configured. Sizes in bytes, durations in seconds."""

    stage: str
    table_prefix: str
    temp_bucket: str
    permanent_bucket: str
    uploads_queue_url: str
    dead_letter_queue_url: str | None
    #: May hold a password.
    cache_url: str | None = field(repr=False)
    cookie_secure: bool
    session_ttl_seconds: int
    bcrypt_cost: int
    #: By form, through the function.
    max_upload_bytes: int
    #: Straight to storage.
    max_direct_upload_bytes: int
    cors_origins: tuple[str, ...]
    rate_limit_login_per_address: str
    rate_limit_login_per_username: str
    rate_limit_login_per_username_and_address: str
    rate_limit_login_per_device: str
    rate_limit_password: str
    rate_limit_tickets: str
    rate_limit_health: str
    rate_limit_uploads: str
    rate_limit_anonymous: str
    rate_limit_signed_in: str
    log_format: str
    log_level: str
    default_quota_bytes: int
    default_quota_files: int
    #: Direct uploads that one user may have open at once: started, their bytes not there yet.
    max_open_uploads_per_user: int
    #: What these may reserve together, as a share of the organisation's quota of bytes.
    max_open_percent_per_user: int
    download_url_ttl_seconds: int
    download_pins_version: bool
    upload_url_ttl_seconds: int
    multipart_threshold_bytes: int
    s3_public_endpoint_url: str | None
    s3_addressing_style: Literal["virtual", "path"]
    processing_lease_seconds: int


class _Reader:
    """Reads one variable at a time and turns each fault into a sentence that names it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(name, "").strip()
        if value:
            return value
        if default is None:
            raise ConfigurationError(f"{name} is not set")
        return default

    def optional(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        raw = self.text(name, str(default))
        try:
            value = int(raw)
        except ValueError:
            raise ConfigurationError(f"{name} must be a whole number, not {raw!r}") from None
        if not low <= value <= high:
            raise ConfigurationError(f"{name} must be from {low} to {high}, not {value}")
        return value

    def boolean(self, name: str, default: bool) -> bool:
        raw = self.text(name, "true" if default else "false").lower()
        if raw not in ("true", "false"):
            raise ConfigurationError(f"{name} must be true or false, not {raw!r}")
        return raw == "true"

    def choice(self, name: str, default: Choice, choices: tuple[Choice, ...]) -> Choice:
        raw = self.text(name, default)
        for choice in choices:
            if raw == choice:
                return choice
        raise ConfigurationError(f"{name} must be one of {', '.join(choices)}, not {raw!r}")

    def matching(self, name: str, default: str | None, valid: Callable[[str], bool], wanted: str) -> str:
        raw = self.text(name, default)
        if not valid(raw):
            raise ConfigurationError(f"{name} must be {wanted}, not {raw!r}")
        return raw

    def url(self, name: str, schemes: tuple[str, ...]) -> str | None:
        raw = self.optional(name)
        if raw is None:
            return None
        if not _is_url(raw, schemes):
            # The value itself may carry a password, so the message leaves it out.
            raise ConfigurationError(f"{name} must be a URL that starts with {' or '.join(s + '://' for s in schemes)}")
        return raw

    def required_url(self, name: str, schemes: tuple[str, ...]) -> str:
        value = self.url(name, schemes)
        if value is None:
            raise ConfigurationError(f"{name} is not set")
        return value

    def origins(self, name: str) -> tuple[str, ...]:
        origins = tuple(part.strip().rstrip("/") for part in self.text(name, "").split(",") if part.strip())
        for origin in origins:
            if not re.fullmatch(r"https?://[^/\s*]+", origin):
                raise ConfigurationError(
                    f"{name} must be a comma-separated list of origins such as https://app.example.com, not {origin!r}"
                )
        return origins


def _is_rate_limit(text: str) -> bool:
    return all(re.fullmatch(r"\s*[1-9]\d*\s*/\s*(second|minute|hour|day)\s*", part) for part in text.split(";"))


def _is_url(text: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(text)
        # Asking for the port is what checks it.
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_table_prefix(text: str) -> bool:
    # A table's name has 3 to 255 of these characters (AWS limit), and ours follow the prefix with up to 14.
    return re.fullmatch(r"[A-Za-z0-9_.-]{1,241}", text) is not None


def _is_bucket_name(text: str) -> bool:
    return re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text) is not None


def load(environ: Mapping[str, str]) -> Settings:
    """Read and check every setting.

    :raises ConfigurationError: naming the variable, what it holds (secrets excepted) and what it should hold.
    """
    read = _Reader(environ)
    rate = "limits such as 5/minute or 200/day;50/hour"
    bucket = "an S3 bucket name"
    # The largest object that S3 takes: 5 TiB until December 2025, 50 TiB since.
    max_direct_upload_bytes = read.integer("MAX_DIRECT_UPLOAD_BYTES", 5 * TEBIBYTE, 1, 50 * TEBIBYTE)
    return Settings(
        stage=read.text("STAGE", "local"),
        table_prefix=read.matching(
            "TABLE_PREFIX", None, _is_table_prefix, "letters, digits, dots, dashes, underscores"
        ),
        temp_bucket=read.matching("TEMP_BUCKET", None, _is_bucket_name, bucket),
        permanent_bucket=read.matching("PERMANENT_BUCKET", None, _is_bucket_name, bucket),
        uploads_queue_url=read.required_url("UPLOADS_QUEUE_URL", ("http", "https")),
        dead_letter_queue_url=read.url("DEAD_LETTER_QUEUE_URL", ("http", "https")),
        cache_url=read.url("CACHE_URL", ("redis", "rediss")),
        cookie_secure=read.boolean("COOKIE_SECURE", True),
        session_ttl_seconds=read.integer("SESSION_TTL_SECONDS", 24 * 3600, 60, 30 * 24 * 3600),
        bcrypt_cost=read.integer("BCRYPT_COST", 12, *BCRYPT_COST_BOUNDS),
        max_direct_upload_bytes=max_direct_upload_bytes,
        max_upload_bytes=min(max_direct_upload_bytes, read.integer("MAX_UPLOAD_BYTES", 50 * MEBIBYTE, 1, GIBIBYTE)),
        cors_origins=read.origins("CORS_ORIGINS"),
        rate_limit_login_per_address=read.matching("RATE_LIMIT_LOGIN_PER_ADDRESS", "5/minute", _is_rate_limit, rate),
        rate_limit_login_per_username=read.matching("RATE_LIMIT_LOGIN_PER_USERNAME", "100/hour", _is_rate_limit, rate),
        rate_limit_login_per_username_and_address=read.matching(
            "RATE_LIMIT_LOGIN_PER_USERNAME_AND_ADDRESS", "10/hour", _is_rate_limit, rate
        ),
        rate_limit_login_per_device=read.matching("RATE_LIMIT_LOGIN_PER_DEVICE", "10/hour", _is_rate_limit, rate),
        rate_limit_password=read.matching("RATE_LIMIT_PASSWORD", "5/minute;20/hour", _is_rate_limit, rate),
        rate_limit_tickets=read.matching("RATE_LIMIT_TICKETS", "60/hour", _is_rate_limit, rate),
        rate_limit_health=read.matching("RATE_LIMIT_HEALTH", "120/minute", _is_rate_limit, rate),
        rate_limit_uploads=read.matching("RATE_LIMIT_UPLOADS", "10/minute", _is_rate_limit, rate),
        rate_limit_anonymous=read.matching("RATE_LIMIT_ANONYMOUS", "200/day;50/hour", _is_rate_limit, rate),
        rate_limit_signed_in=read.matching("RATE_LIMIT_SIGNED_IN", "1200/minute", _is_rate_limit, rate),
        log_format=read.choice("LOG_FORMAT", "json", ("json", "text")),
        log_level=read.choice("LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
        default_quota_bytes=read.integer("DEFAULT_QUOTA_BYTES", TEBIBYTE, 0, MAX_QUOTA_BYTES),
        default_quota_files=read.integer("DEFAULT_QUOTA_FILES", 1_000_000, 0, MAX_QUOTA_FILES),
        # Their ids are kept in one item, and DynamoDB bills a write by the item's size: 40 bytes each.
        max_open_uploads_per_user=read.integer("MAX_OPEN_UPLOADS_PER_USER", 100, 1, 1000),
        max_open_percent_per_user=read.integer("MAX_OPEN_PERCENT_PER_USER", 50, 1, 100),
        download_url_ttl_seconds=read.integer("DOWNLOAD_URL_TTL_SECONDS", 300, 10, PRESIGNED_URL_MAX_SECONDS),
        # Off only for an emulator that ignores Range for a request that names a version.
        download_pins_version=read.boolean("DOWNLOAD_PINS_VERSION", True),
        upload_url_ttl_seconds=read.integer("UPLOAD_URL_TTL_SECONDS", 3600, 10, PRESIGNED_URL_MAX_SECONDS),
        multipart_threshold_bytes=read.integer("MULTIPART_THRESHOLD_BYTES", 100 * MEBIBYTE, 5 * MEBIBYTE, 5 * GIBIBYTE),
        s3_public_endpoint_url=read.url("S3_PUBLIC_ENDPOINT_URL", ("http", "https")),
        # boto3's own "auto" presigns for the global endpoint, which redirects, and breaks, for new buckets of other
        # regions. An endpoint without a name per bucket in DNS, such as an emulator's, needs "path".
        s3_addressing_style=read.choice("S3_ADDRESSING_STYLE", "virtual", ("virtual", "path")),
        # Lambda ends a function after at most 900 s; the lease must outlive it, or two attempts could run at once.
        processing_lease_seconds=read.integer("PROCESSING_LEASE_SECONDS", 960, 1, 24 * 3600),
    )


@cache
def settings() -> Settings:
    """The settings of this process, read from its environment on first use."""
    return load(os.environ)
