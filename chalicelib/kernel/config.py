"""Configuration: the only reader of the environment in chalicelib, and the one place that describes a setting.

Everything is read once, on first use, into one frozen :class:`Settings`. A wrong or missing variable stops the
process with a sentence that names it. The standard ``AWS_*`` variables (region, credentials, ``AWS_ENDPOINT_URL`` and
its per-service forms) are read by the AWS libraries themselves and are not repeated here.

A setting's variable is its name in capitals, and its parameter of the stack, if it has one, the same in CamelCase.
`make docs` writes what people read of this.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, Literal

from chalicelib.kernel.setting import (
    EVERY_FUNCTION,
    KEY,
    ConfigurationError,
    Parameter,
    Setting,
    address,
    boolean,
    choice,
    hosts,
    integer,
    matching,
    origins,
    rate,
    text,
    url,
    url_with,
)

__all__ = ["ConfigurationError", "Settings", "described", "load", "settings"]

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

#: What a function signs ends with the session of its role at the latest, whatever it says. Lambda renews the session
#: every some hours, so an address that should live longer may end at any time before.
PRESIGNED_BY_A_FUNCTION_MAX_SECONDS = 6 * 3600

#: What a function takes of a form. Lambda takes a request of 6,291,456 bytes (AWS limit); the gateway sends the form
#: in base64, within an event that also holds the headers twice: 6,000,000 bytes and room for the rest.
MAX_UPLOAD_BYTES_ON_AWS = 4_500_000

# A table's name has 3 to 255 of these characters (AWS limit), and ours follow the prefix with up to 14.
_TABLE_PREFIX = (r"[A-Za-z0-9_.-]{1,241}", "letters, digits, dots, dashes, underscores")
_BUCKET = (r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "an S3 bucket name")
_HTTP = ("http", "https")


@dataclass(frozen=True)
class Settings:
    """All that can be configured. Sizes in bytes, durations in seconds."""

    stage: str = text("name of the deployment, for logs and the operator", "local")
    table_prefix: str = matching("tables are `<prefix>-files` and so on", *_TABLE_PREFIX)
    temp_bucket: str = matching("where uploads arrive", *_BUCKET)
    permanent_bucket: str = matching("where checked files stay", *_BUCKET)
    audit_bucket: str = matching("where sealed events and exports of the audit trail are", *_BUCKET)
    uploads_queue_url: str = url("the queue that tells processing that bytes have arrived", _HTTP, required=True)
    dead_letter_queue_url: str | None = url("for the operator's `redrive`", _HTTP)
    webhooks_queue_url: str = url("the queue that wakes what delivers to webhooks", _HTTP, required=True)
    webhooks_dead_letter_queue_url: str | None = url("for the operator's `redrive`", _HTTP)
    cache_url: str | None = url(
        "`redis://` or `rediss://`; without it rate counters are where `RATE_COUNTERS` says",
        ("redis", "rediss"),
        secret=True,
    )
    rate_counters: str = choice(
        "where rate counters are without a cache: in `memory`, each process its own; in the `table` counters, shared",
        "memory",
        ("memory", "table"),
    )
    cookie_secure: bool = boolean("Secure cookie named `__Host-session`; `false` where there is no TLS", True)
    session_ttl_seconds: int = integer(
        "absolute lifetime of a session, 60 to 2592000",
        24 * 3600,
        60,
        30 * 24 * 3600,
        Parameter("Seconds after which a session ends, used or not."),
    )
    # Below half an hour, writing the use of a session only every ten minutes would end it far too early.
    session_idle_seconds: int = integer(
        "a session that is not used for so long ends, up to ten minutes earlier; 1800 to 2592000",
        12 * 3600,
        1800,
        30 * 24 * 3600,
        Parameter("Seconds without use after which a session ends."),
    )
    bcrypt_cost: int = integer(
        "4 to 16; each step doubles the work of a login",
        12,
        *BCRYPT_COST_BOUNDS,
        Parameter("Work of a login, each step of which doubles it. The function needs a quarter of a second for 12."),
    )
    max_upload_bytes: int = integer(
        f"largest file by form; {MAX_UPLOAD_BYTES_ON_AWS} on AWS, where Lambda takes no more",
        50 * MEBIBYTE,
        1,
        GIBIBYTE,
        Parameter(
            "Largest file, in bytes, as a form through the function. Lambda takes 6 MiB, in base64 and with headers.",
            default=MAX_UPLOAD_BYTES_ON_AWS,
            high=MAX_UPLOAD_BYTES_ON_AWS,
        ),
    )
    # The largest object that S3 takes: 5 TiB until December 2025, 50 TiB since.
    max_direct_upload_bytes: int = integer(
        "largest file straight to S3, which takes up to 50 TiB",
        5 * TEBIBYTE,
        1,
        50 * TEBIBYTE,
        Parameter(
            "Largest file, in bytes, straight to S3 (5 TiB; S3 itself takes 50 TiB).",
            pattern="[1-9][0-9]{0,13}",
            functions=EVERY_FUNCTION,
        ),
    )
    multipart_threshold_bytes: int = integer(
        "above it a direct upload goes in parts; 5 MiB to 5 GiB",
        100 * MEBIBYTE,
        5 * MEBIBYTE,
        5 * GIBIBYTE,
        Parameter("Bytes above which a direct upload goes in parts.", pattern="[1-9][0-9]{6,9}"),
    )
    multipart_days: int = integer(
        "days in which the parts of an upload may arrive, less an hour; 1 to 7",
        1,
        1,
        7,
        Parameter("Days in which the parts of an upload may arrive, less an hour. Lifecycle rules follow."),
    )
    part_checksums: Literal["crc64nvme", "none"] = choice(
        "`none` for endpoints that can't verify a CRC64NVME over all parts", "crc64nvme", ("crc64nvme", "none")
    )
    upload_url_ttl_seconds: int = integer(
        "lifetime of a presigned upload, 10 to 604800",
        3600,
        10,
        PRESIGNED_URL_MAX_SECONDS,
        Parameter("Seconds for which an address to upload to is good.", high=PRESIGNED_BY_A_FUNCTION_MAX_SECONDS),
    )
    download_url_ttl_seconds: int = integer(
        "lifetime of a presigned download, 10 to 604800",
        300,
        10,
        PRESIGNED_URL_MAX_SECONDS,
        Parameter("Seconds for which an address to download from is good.", high=PRESIGNED_BY_A_FUNCTION_MAX_SECONDS),
    )
    # Off only for an emulator that ignores Range for a request that names a version.
    download_pins_version: bool = boolean("a download names the object version that was checked", True)
    s3_public_endpoint_url: str | None = url(
        "address of S3 for clients, where it differs from that for the functions; for signing only",
        _HTTP,
        Parameter(
            "Address of S3 for clients, where it is not the one that the functions use. Empty on AWS.", default=""
        ),
    )
    # boto3's own "auto" presigns for the global endpoint, which redirects, and breaks, for new buckets of other
    # regions. An endpoint without a name per bucket in DNS, such as an emulator's, needs "path".
    s3_addressing_style: Literal["virtual", "path"] = choice(
        "`path` for endpoints without a host name per bucket", "virtual", ("virtual", "path")
    )
    trusted_proxies: int = integer(
        "proxies in front of the API, such as a CDN, that tell whom they speak for by `X-Forwarded-For`; 0 to 5",
        0,
        0,
        5,
        Parameter(
            "Proxies in front of the API that tell whom they speak for, such as 1 for CloudFront. Only where nobody "
            "gets past them."
        ),
    )
    aws_fast_path: Literal["on", "off"] = choice(
        "`off`: every call of DynamoDB and S3 goes through botocore from the start (docs/decisions/0047)",
        "on",
        ("on", "off"),
        Parameter(
            "off: every call of DynamoDB and S3 goes through botocore from the start, which takes more CPU.",
            functions=EVERY_FUNCTION,
        ),
    )
    cors_origins: tuple[str, ...] = origins("origins of pages that may call the API, comma separated")
    rate_limit_login_per_address: str = rate(
        "login attempts of an address", "5/minute", "Sign-in attempts of an address."
    )
    rate_limit_login_per_username: str = rate(
        "failed logins for a username, from all unknown devices",
        "100/hour",
        "Failed sign-ins for a user name from unknown devices.",
    )
    rate_limit_login_per_username_and_address: str = rate(
        "failed logins for a username from one address, unknown devices", "10/hour", "Those from one address."
    )
    rate_limit_login_per_device: str = rate(
        "failed logins from a device that the user has signed in from",
        "10/hour",
        "Failed sign-ins from a device that is known.",
    )
    rate_limit_password: str = rate(
        "attempts of a signed-in user at the own password, to change it or the second factor",
        "5/minute;20/hour",
        "Attempts of a signed-in user at the own password.",
    )
    rate_limit_second_factor: str = rate(
        "wrong codes of a user's second factor",
        "5/minute;20/hour",
        "Wrong codes of a user's second factor.",
    )
    rate_limit_tickets: str = rate("upload tickets that a user draws", "60/hour", "Upload tickets of a user.")
    rate_limit_health: str = rate("health checks of an address", "120/minute", "Health checks of an address.")
    rate_limit_uploads: str = rate(
        "uploads that a user starts, parts not counted", "10/minute", "Uploads that a user may start."
    )
    rate_limit_anonymous: str = rate(
        "requests of an address without a session",
        "200/day;50/hour",
        "Requests of an address without a session.",
    )
    rate_limit_signed_in: str = rate("requests of a user", "1200/minute", "Requests of a signed-in user.")
    rate_limit_api_key: str = rate("requests of an API key", "1200/minute", "Requests of an API key.")
    rate_limit_sign_up: str = rate(
        "new organisations, and attempts to accept an invitation that fail, of an address",
        "10/hour",
        "New organisations, and failed attempts to accept an invitation, of an address.",
    )
    rate_limit_invitations: str = rate(
        "invitations that an organisation creates and sends again",
        "100/hour",
        "Invitations that an organisation creates and sends again.",
    )
    sign_up: str = choice(
        "who may create an organisation: `closed`, operators only; `open`, whoever can reach the API",
        "closed",
        ("closed", "open"),
        Parameter("Who may create an organisation: operators only (closed), or whoever can reach the API (open)."),
    )
    invitation_url: str | None = url_with(
        "page that accepts an invitation, with `{token}` in the place of the token",
        "{token}",
        Parameter(
            "Page that accepts an invitation, such as https://app.example.com/join#token={token}. Empty for none.",
            default="",
        ),
    )
    mail_from: str | None = address(
        "sender of invitations by e-mail, an identity that SES has verified; without it nothing is sent",
        Parameter(
            "Sender of invitations by e-mail: an address that SES has verified, or of a domain that it has. Empty for "
            "no e-mail.",
            default="",
        ),
    )
    default_quota_bytes: int = integer(
        "quota of bytes of a new organisation",
        TEBIBYTE,
        0,
        MAX_QUOTA_BYTES,
        Parameter(
            "Bytes that a new organisation may keep. Empty for the application's own default.",
            default="",
            pattern="[0-9]*",
        ),
    )
    default_quota_files: int = integer(
        "quota of files of a new organisation",
        1_000_000,
        0,
        MAX_QUOTA_FILES,
        Parameter(
            "Files that a new organisation may keep. Empty for the application's own default.",
            default="",
            pattern="[0-9]*",
        ),
    )
    # Their ids are kept in one item, and DynamoDB bills a write by the item's size: 40 bytes each.
    max_open_uploads_per_user: int = integer(
        "direct uploads that one user may have open at once, 1 to 1000",
        100,
        1,
        1000,
        Parameter(
            "Direct uploads that a user may have open at once, started and without their bytes.",
            functions=EVERY_FUNCTION,
        ),
    )
    max_open_percent_per_user: int = integer(
        "what these may reserve together, in percent of the organisation's quota of bytes",
        50,
        1,
        100,
        Parameter(
            "What the open uploads of a user may reserve together, in percent of the organisation's quota of bytes.",
            functions=EVERY_FUNCTION,
        ),
    )
    # Lambda ends a function after at most 900 s; the lease must outlive it, or two attempts could run at once.
    processing_lease_seconds: int = integer(
        "how long an attempt holds the lease of a file; longer than the function may run", 960, 1, 24 * 3600
    )
    hash_at_once_bytes: int = integer(
        "above it an upload in parts completes on its CRC64NVME, and its SHA-256 follows; 0 to 53687091200",
        16 * GIBIBYTE,
        0,
        50 * GIBIBYTE,
        Parameter(
            "Bytes above which an upload in parts completes on its CRC64NVME, and its SHA-256 follows.",
            pattern="0|[1-9][0-9]{0,10}",
            functions=("process",),
        ),
    )
    sha256_relay: Literal["on", "off"] = choice(
        "`off`: the SHA-256 of uploads larger than that is computed only where the client has announced it",
        "on",
        ("on", "off"),
        Parameter("off: no SHA-256 above HashAtOnceBytes, unless the client announced it.", functions=("process",)),
    )
    # A part that is being copied when the time is up may take 300 s more.
    processing_step_seconds: int = integer(
        "how long one invocation works on a file that needs several, 1 to 300", 120, 1, 300
    )
    # Of 20 at once, five are always left for other organisations.
    max_processing_per_organization: int = integer(
        "files of one organisation that are processed at once, 1 to 1000", 15, 1, 1000
    )
    webhook_allowed_hosts: tuple[str, ...] = hosts(
        "hosts to which webhooks may go although they are private or have no TLS, comma separated; for developers",
        Parameter(
            "Hosts to which webhooks may go although they are private or have no TLS. Empty but for developers.",
            default="",
            functions=("api", "deliver"),
        ),
    )
    event_retention_days: int = integer(
        "how long events can be read, and audited, 30 to 3650",
        400,
        30,
        3650,
        Parameter("Days that events can be read, and audited.", functions=("publish", "audit")),
    )
    audit_lock_days: int = integer(
        "how long a sealed file can be neither deleted nor replaced (S3 Object Lock); 0 for not at all, to 3650",
        0,
        0,
        3650,
        Parameter(
            "Days that sealed events can be neither deleted nor replaced (Object Lock, governance mode). 0: no lock.",
            default=400,
            functions=("audit",),
        ),
    )
    log_format: str = choice("`json` or `text`", "json", ("json", "text"))
    log_level: str = choice(
        "`DEBUG`, `INFO`, `WARNING` or `ERROR`",
        "INFO",
        ("DEBUG", "INFO", "WARNING", "ERROR"),
        Parameter(None, functions=EVERY_FUNCTION),
    )


def described() -> dict[str, Setting]:
    """Variable -> its description."""
    return {field.name.upper(): field.metadata[KEY] for field in fields(Settings)}


def load(environ: Mapping[str, str]) -> Settings:
    """Read and check every setting.

    :raises ConfigurationError: naming the variable, what it holds (secrets excepted) and what it should hold.
    """
    read: dict[str, Any] = {
        variable.lower(): setting.read(variable, environ) for variable, setting in described().items()
    }
    # A form is an upload too.
    read["max_upload_bytes"] = min(read["max_upload_bytes"], read["max_direct_upload_bytes"])
    return Settings(**read)


@cache
def settings() -> Settings:
    """The settings of this process, read from its environment on first use."""
    return load(os.environ)
