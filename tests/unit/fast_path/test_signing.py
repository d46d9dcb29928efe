"""AWS's own examples of Signature Version 4."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import pytest

from chalicelib.platform.fast_path.signing import EMPTY_SHA256, Credentials, Signer

KEY = "wJalrXUtnFEMI/K7MDENG{}bPxRfiCYEXAMPLEKEY"
#: (AWS: "Signature Version 4 test suite")
SUITE = Credentials("AKIDEXAMPLE", KEY.format("+"), None)
SUITE_TIME = "20150830T123600Z"
#: (AWS: Amazon S3 API Reference, "Signature Calculations for the Authorization Header")
S3 = Credentials("AKIAIOSFODNN7EXAMPLE", KEY.format("/"), None)
S3_TIME = "20130524T000000Z"
S3_HOST = "examplebucket.s3.amazonaws.com"
WELCOME = b"Welcome to Amazon S3."


class Example(NamedTuple):
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    signature: str


SUITE_HEADERS = {"host": "example.amazonaws.com", "x-amz-date": SUITE_TIME}
SUITE_EXAMPLES = [
    Example("GET", "/", "", {}, b"", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    Example("POST", "/", "", {}, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    Example(
        "GET",
        "/",
        "Param1=value1&Param2=value2",
        {},
        b"",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    Example(
        "GET",
        "/",
        "",
        {"my-header1": "value1", "my-header2": '"a   b   c"'},
        b"",
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
]
S3_EXAMPLES = [
    Example(
        "GET",
        "/test.txt",
        "",
        {"range": "bytes=0-9"},
        b"",
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    Example(
        "PUT",
        "/test%24file.text",
        "",
        {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
        WELCOME,
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    Example("GET", "/", "lifecycle=", {}, b"", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    Example(
        "GET",
        "/",
        "max-keys=2&prefix=J",
        {},
        b"",
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
]


@pytest.mark.parametrize("example", SUITE_EXAMPLES, ids=lambda example: f"{example.method} {example.query}")
def test_suite(example: Example) -> None:
    signer = Signer("service", "us-east-1")
    headers = {**SUITE_HEADERS, **example.headers}
    for _ in range(2):
        value = signer.authorization(
            SUITE, example.method, example.path, example.query, headers, EMPTY_SHA256, SUITE_TIME
        )
        signed = ";".join(sorted(headers))
        assert value == (
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            f"SignedHeaders={signed}, Signature={example.signature}"
        )


@pytest.mark.parametrize("example", S3_EXAMPLES, ids=lambda example: f"{example.method} {example.path}")
def test_s3(example: Example) -> None:
    digest = hashlib.sha256(example.body).hexdigest()
    headers = {"host": S3_HOST, "x-amz-date": S3_TIME, "x-amz-content-sha256": digest, **example.headers}
    value = Signer("s3", "us-east-1").authorization(
        S3, example.method, example.path, example.query, headers, digest, S3_TIME
    )
    assert value.endswith(f"Signature={example.signature}")


def test_key_of_a_day_is_not_used_on_the_next_nor_with_other_credentials() -> None:
    signer = Signer("s3", "us-east-1")
    fresh = {
        (time, secret): Signer("s3", "us-east-1").signature(Credentials("A", secret, None), "x", time)
        for time in ("20130524T235959Z", "20130525T000000Z")
        for secret in ("one", "two")
    }
    assert len(set(fresh.values())) == 4
    for (time, secret), signature in [*fresh.items(), *reversed(fresh.items())]:
        assert signer.signature(Credentials("A", secret, None), "x", time) == signature
