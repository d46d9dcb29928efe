"""Tells an outage of what we depend on from a bug of ours."""

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BotoConnectionError
from pynamodb.exceptions import PynamoDBException

from chalicelib.platform.aws import error_code

_OUTAGE_CODES = frozenset(
    {
        "InternalError",
        "InternalServerError",
        "InternalFailure",
        "ServiceUnavailable",
        "SlowDown",
        "RequestTimeout",
        "RequestLimitExceeded",
        # Of SQS.
        "RequestThrottled",
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "Throttling",
        "TransactionInProgressException",
    }
)
SERVER_ERROR_STATUS = 500


def is_outage(error: BaseException) -> bool:
    """Whether the error says that a dependency is away or overloaded, so that trying again later may help."""
    if isinstance(error, BotoConnectionError | HTTPClientError):
        return True
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= SERVER_ERROR_STATUS or error_code(error) in _OUTAGE_CODES
    if isinstance(error, PynamoDBException):
        cause = error.cause
        return cause is not None and is_outage(cause)
    return isinstance(error, BotoCoreError) and is_outage(error.__cause__) if error.__cause__ else False
