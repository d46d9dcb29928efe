"""AWS clients with time-outs and retries that fit the time limits of the functions that use them."""

from typing import TYPE_CHECKING, Any, Literal

from botocore.config import Config

from chalicelib.platform.fast_path import open_fast_path

if TYPE_CHECKING:
    from botocore.exceptions import ClientError
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sqs import SQSClient

AddressingStyle = Literal["virtual", "path"]

CONNECT_TIMEOUT_SECONDS = 1
#: Between two pieces of a body, not for the whole of it, so it holds for an object of any size. With a second attempt a
#: call that hangs fails after 15 s; the API has 28 s in all, of which the tables may need 11 to take an upload back.
READ_TIMEOUT_SECONDS = 6
MAX_ATTEMPTS = 2
#: The process function has 900 s, and nobody waits for it. A laptop's emulator is silent for 20 s before it sends 2 GB.
STREAM_READ_TIMEOUT_SECONDS = 60
STREAM_MAX_ATTEMPTS = 3
#: A server-side copy of up to 5 GB answers only when it is done. Twice this, too, has to fit the 900 s.
COPY_READ_TIMEOUT_SECONDS = 300
#: Putting thousands of parts together takes S3 up to minutes, and it goes on when nobody listens any more. A second
#: request while the first is at work helps nobody.
COMPLETE_PATIENCE_SECONDS = 10
COMPLETE_MAX_ATTEMPTS = 1


def error_code(error: "ClientError") -> str:
    """AWS's name for what went wrong, such as ``NoSuchKey``; of an answer without a body, as to a HEAD, its status."""
    return error.response.get("Error", {}).get("Code", "Unknown")


def _config(addressing_style: AddressingStyle, read_timeout_seconds: int, max_attempts: int) -> Config:
    return Config(
        s3={"addressing_style": addressing_style},
        # Presigned URLs are SigV2 unless told so, and SigV2 is refused by every region opened since 2014.
        signature_version="s3v4",
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=read_timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": max_attempts},
        max_pool_connections=50,
    )


def s3_client(
    addressing_style: AddressingStyle,
    endpoint_url: str | None = None,
    read_timeout_seconds: int = READ_TIMEOUT_SECONDS,
    max_attempts: int = MAX_ATTEMPTS,
    *,
    fast_path: bool = False,
) -> "S3Client":
    """:param fast_path: for a client of hot paths, see :mod:`chalicelib.platform.fast_path`."""
    # Here and not above: requests that touch tables only never need it, and it costs a cold start time.
    import boto3

    config = _config(addressing_style, read_timeout_seconds, max_attempts)
    client = boto3.client("s3", endpoint_url=endpoint_url, config=config)
    if fast_path:
        open_fast_path(client)
    return client


def sqs_client() -> "SQSClient":
    import boto3

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
    )
    return boto3.client("sqs", config=config)


def ses_client() -> Any:
    import boto3

    config = Config(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        # A second attempt could be a second mail.
        retries={"mode": "standard", "total_max_attempts": 1},
    )
    return boto3.client("sesv2", config=config)
