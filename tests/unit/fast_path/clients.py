"""Clients with and without the fast path, otherwise the same, and neither answered by moto."""

from __future__ import annotations

from typing import Any

import boto3
from botocore.config import Config
from moto.core.models import botocore_stubber

from chalicelib.platform.fast_path import open_fast_path
from tests import moto_gaps
from tests.aws_calls import _heard

REGION = "eu-west-1"


def client_of(service: str, *, fast: bool, **options: Any) -> Any:
    token = options.pop("token", None)
    session: Any = boto3.Session(
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        aws_session_token=token,
        region_name=REGION,
    )
    timeouts = {"connect_timeout": options.pop("connect_timeout", 1), "read_timeout": options.pop("read_timeout", 5)}
    made: Any = Config
    config = made(
        signature_version="s3v4" if service == "s3" else None,
        s3={"addressing_style": options.pop("addressing_style", "virtual")},
        # The suite makes each client of a configuration once; these are to be different ones.
        user_agent_appid=f"{'fast' if fast else 'plain'}{'-token' if token else ''}",
        retries={"mode": "standard", "total_max_attempts": options.pop("attempts", 2)},
        **timeouts,
    )
    client = session.client(service, config=config, **options)
    for answering in (botocore_stubber, _heard):
        client.meta.events.unregister("before-send", answering)
    client.meta.events.unregister("before-send.s3", moto_gaps._before_sending)
    if fast:
        open_fast_path(client)
        assert hasattr(client, "_fast_path")
    return client
