"""Lets moto do what it is asked, and loses its answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ReadTimeoutError
from moto.core.models import botocore_stubber

from tests.aws_calls import listening


@contextmanager
def answers_lost_once(*operations: str) -> Iterator[dict[bytes, AWSResponse]]:
    """AWS does what it is asked, but the first answer to each request does not arrive, so the client sends it again."""
    done: dict[bytes, AWSResponse] = {}

    def lose_first_answer(operation: str, request: AWSPreparedRequest) -> AWSResponse | None:
        if operation not in operations:
            return None
        sent = request.body if isinstance(request.body, bytes) else str(request.body).encode()
        if sent in done:
            # A transaction with the token of one that took effect takes effect no second time (TransactWriteItems).
            return done[sent] if operation.endswith(".TransactWriteItems") else None
        answer = botocore_stubber(f"before-send.{operation}", request)
        assert answer is not None
        done[sent] = answer
        raise ReadTimeoutError(endpoint_url=request.url)

    with listening(lose_first_answer):
        yield done
