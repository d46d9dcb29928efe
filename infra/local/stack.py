"""The stack's tables, buckets and queues on the emulator, and the functions' environment that goes with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.environment import stack_variables
from infra.local import emulator
from infra.local.cache import cache_url
from infra.local.keys import Key, KeyFile

STAGE = "local"


@dataclass(frozen=True)
class DataPlane:
    """The stack's outputs, the operator's key, and by their names those of the parts that run the functions."""

    outputs: dict[str, str]
    operator: Key
    parts: dict[str, Key]


def create_data_plane(
    aws_port: int, cache_port: int, keys: KeyFile, report: Callable[[str], None], page_origins: Sequence[str] = ()
) -> DataPlane:
    """Create or update `strongroom-local` from the same template as everywhere, and the users that work on it.

    :param keys: of the emulator that listens on the port; new ones are added.
    :param page_origins: of pages that send bytes straight to the temp bucket, the API's own among them: storage is
        another origin to every page.
    """
    import boto3

    from infra.deployment import deploy_stack
    from infra.local.identities import keys_of_parts, with_users
    from infra.stages import stack_name_of
    from infra.template import data_plane

    operator = keys.operator()
    session = boto3.Session(
        aws_access_key_id=operator.access_key_id,
        aws_secret_access_key=operator.secret_access_key,
        region_name=emulator.REGION,
    )
    client: Any = session.client("cloudformation", endpoint_url=emulator.endpoint(aws_port))
    deployment = deploy_stack(
        client,
        stack_name_of(STAGE),
        with_users(data_plane(STAGE)),
        {
            "Stage": STAGE,
            "CacheUrl": cache_url(cache_port),
            "RequireTls": "false",
            "CorsOrigins": ",".join(page_origins),
        },
        report=report,
    )
    iam: Any = session.client("iam", endpoint_url=emulator.endpoint(aws_port))
    outputs = dict(deployment.outputs)
    return DataPlane(outputs, operator, keys_of_parts(iam, outputs, keys))


def functions_environment(
    outputs: Mapping[str, str], aws_port: int, cache_port: int, key: Key, base: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What Lambda would set, with the key of whoever gets it.

    Anything of it can be overridden from outside, such as RATE_LIMIT_UPLOADS.
    """
    inherited = {
        name: value for name, value in (base if base is not None else os.environ).items() if not name.startswith("AWS_")
    }
    defaults = {
        "MAX_UPLOAD_BYTES": str(50 * 1024 * 1024),
        "LOG_FORMAT": "text",
        "LOG_LEVEL": "INFO",
        # The programs that are being developed against it.
        "WEBHOOK_ALLOWED_HOSTS": "localhost,127.0.0.1",
        "COOKIE_SECURE": "false",
    }
    return {
        **defaults,
        **inherited,
        **emulator.client_environment(aws_port, key),
        **stack_variables(STAGE, outputs),
        "CACHE_URL": cache_url(cache_port),
        "S3_ADDRESSING_STYLE": "path",
        # The emulator answers a ranged request that names a version with the whole object.
        "DOWNLOAD_PINS_VERSION": "false",
        # The emulator makes a checksum of the parts' checksums, which says nothing of the whole.
        "PART_CHECKSUMS": "none",
        "PYTHONUNBUFFERED": "1",
    }
