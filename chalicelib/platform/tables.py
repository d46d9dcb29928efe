"""The DynamoDB tables, as PynamoDB models, and what all of them share: names, client limits, transactions.

Models are shapes only. Each store beside this module owns one table and turns its rows into records.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from botocore.exceptions import ClientError
from pynamodb.attributes import (
    BinaryAttribute,
    BooleanAttribute,
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.connection import Connection
from pynamodb.exceptions import DoesNotExist, PynamoDBException, TransactWriteError
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from chalicelib.kernel.errors import Unavailable, VersionConflict

# A call that hangs must fail while the function still has time to answer: API Gateway gives up after 29 s. Three
# attempts make 10.5 s, and a request that meets a hanging store and hanging tables waits for each once.
CONNECT_TIMEOUT_SECONDS = 1
READ_TIMEOUT_SECONDS = 2.5
MAX_RETRIES = 2
#: Transactions of one organisation meet at its counters. Attempts and waits are such that about 100 writers at once get
#: through; after that the caller is told to come back.
MAX_CONTENDED_ATTEMPTS = 12
CONTENDED_WAIT_SECONDS = 0.02
CONTENDED_MAX_WAIT_SECONDS = 0.6

#: DynamoDB's words for "not now": the same call may well succeed a moment later.
_TRANSIENT_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
#: The answers to a single write that came second: after another write, or during a transaction on the same item.
_LOST_RACES = frozenset({"ConditionalCheckFailedException", "TransactionConflictException"})
_CONDITION_FAILED = "ConditionalCheckFailed"


class ClientLimits:
    """Time-outs and retries of every table's client."""

    connect_timeout_seconds = CONNECT_TIMEOUT_SECONDS
    read_timeout_seconds = READ_TIMEOUT_SECONDS
    max_retry_attempts = MAX_RETRIES
    max_pool_connections = 50


class OrganizationRow(Model):
    class Meta(ClientLimits):
        table_name = "organizations"

    organization_id = UnicodeAttribute(hash_key=True)
    name = UnicodeAttribute()
    created_at = UnicodeAttribute()
    cursor_key = BinaryAttribute(legacy_encoding=False)
    quota_bytes = NumberAttribute()
    quota_files = NumberAttribute()
    bytes_used = NumberAttribute(default=0)
    files_used = NumberAttribute(default=0)
    # What is left, kept beside what is used: a condition can compare it with a size, but can't subtract.
    bytes_available = NumberAttribute()
    files_available = NumberAttribute()
    # Two changes can leave the counters as they were, but not this: a recount has to know that there were any.
    counter_changes = NumberAttribute(default=0)
    counts: MapAttribute[str, Any] = MapAttribute(default=dict)  # type: ignore[no-untyped-call]
    allowed_types: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, default=list)
    refused_types: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, default=list)
    max_file_bytes = NumberAttribute(null=True)


class UserRow(Model):
    class Meta(ClientLimits):
        table_name = "users"

    organization_id = UnicodeAttribute(hash_key=True)
    user_id = UnicodeAttribute(range_key=True)
    username = UnicodeAttribute()
    password_hash = UnicodeAttribute()
    disabled = BooleanAttribute(default=False)
    created_at = UnicodeAttribute()
    live_sessions: ListAttribute[Any] = ListAttribute(of=UnicodeAttribute, default=list)
    version = NumberAttribute(default=1)


class UsernameRow(Model):
    """Makes a username unique over all organisations, and finds its user."""

    class Meta(ClientLimits):
        table_name = "usernames"

    username = UnicodeAttribute(hash_key=True)
    organization_id = UnicodeAttribute()
    user_id = UnicodeAttribute()


class SessionRow(Model):
    class Meta(ClientLimits):
        table_name = "sessions"

    token_hash = UnicodeAttribute(hash_key=True)
    organization_id = UnicodeAttribute()
    user_id = UnicodeAttribute()
    username = UnicodeAttribute()
    created_at = UnicodeAttribute()
    expires_at = NumberAttribute()
    ticket_of = UnicodeAttribute(null=True)


class ByStatus(GlobalSecondaryIndex["FileRow"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_status"
        projection = AllProjection()

    status_key = UnicodeAttribute(hash_key=True)
    file_id = UnicodeAttribute(range_key=True)


class ByMimeType(GlobalSecondaryIndex["FileRow"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_mime_type"
        projection = AllProjection()

    mime_key = UnicodeAttribute(hash_key=True)
    file_id = UnicodeAttribute(range_key=True)


class ByStatusAndMimeType(GlobalSecondaryIndex["FileRow"]):  # type: ignore[no-untyped-call]
    class Meta:
        index_name = "by_status_and_mime_type"
        projection = AllProjection()

    status_mime_key = UnicodeAttribute(hash_key=True)
    file_id = UnicodeAttribute(range_key=True)


class Unfinished(GlobalSecondaryIndex["FileRow"]):  # type: ignore[no-untyped-call]
    """Rows that still have something to happen to them, oldest first; all others have no key here."""

    class Meta:
        index_name = "unfinished"
        projection = KeysOnlyProjection()

    unfinished_shard = UnicodeAttribute(hash_key=True)
    touched_at = UnicodeAttribute(range_key=True)


class FileRow(Model):
    class Meta(ClientLimits):
        table_name = "files"

    organization_id = UnicodeAttribute(hash_key=True)
    file_id = UnicodeAttribute(range_key=True)
    filename = UnicodeAttribute()
    object_name = UnicodeAttribute()
    status = UnicodeAttribute()
    file_size = NumberAttribute()
    uploaded_by_id = UnicodeAttribute()
    uploaded_by_username = UnicodeAttribute()
    created_at = UnicodeAttribute()
    touched_at = UnicodeAttribute()
    upload_method = UnicodeAttribute()
    reserved_bytes = NumberAttribute(default=0)
    size_is_exact = BooleanAttribute(default=True)
    declared_type = UnicodeAttribute(null=True)
    expected_sha256 = UnicodeAttribute(null=True)
    mime_type = UnicodeAttribute(null=True)
    sha256_hash = UnicodeAttribute(null=True)
    processed_at = UnicodeAttribute(null=True)
    error_message = UnicodeAttribute(null=True)
    unrecoverable = BooleanAttribute(default=False)
    attempts = NumberAttribute(default=0)
    lease_owner = UnicodeAttribute(null=True)
    lease_expires_at = NumberAttribute(default=0)
    object_version = UnicodeAttribute(null=True)
    multipart_upload_id = UnicodeAttribute(null=True)
    part_bytes = NumberAttribute(null=True)
    completing = BooleanAttribute(default=False)
    upload_expires_at = NumberAttribute(default=0)
    version = NumberAttribute(default=0)
    status_key = UnicodeAttribute(null=True)
    mime_key = UnicodeAttribute(null=True)
    status_mime_key = UnicodeAttribute(null=True)
    unfinished_shard = UnicodeAttribute(null=True)

    by_status = ByStatus()
    by_mime_type = ByMimeType()
    by_status_and_mime_type = ByStatusAndMimeType()
    unfinished = Unfinished()


class Tables:
    """The tables of one deployment: the models bound to its names, and a connection for transactions."""

    MODELS: ClassVar[tuple[type[Model], ...]] = (OrganizationRow, UserRow, UsernameRow, SessionRow, FileRow)

    def __init__(self, table_prefix: str) -> None:
        self.connection = Connection(
            connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
            read_timeout_seconds=READ_TIMEOUT_SECONDS,
            max_retry_attempts=MAX_RETRIES,
            max_pool_connections=ClientLimits.max_pool_connections,
        )
        for model in self.MODELS:
            base_name = model.Meta.table_name.rsplit("-", 1)[-1]
            model.Meta.table_name = f"{table_prefix}-{base_name}"
            # PynamoDB keeps the connection of the first use; a process that is bound anew must not.
            model._connection = None
            # Left to itself each model loads an AWS client of its own, which costs a cold start about 0.1 s a table.
            of_table = model._get_connection()
            self.connection.add_meta_table(of_table.get_meta_table())
            of_table.connection = self.connection

    def is_reachable(self) -> bool:
        """Whether the tables answer; an item that is not there is an answer."""
        try:
            OrganizationRow.get("health")
        except DoesNotExist:
            return True
        except PynamoDBException:
            return False
        return True

    def transact(self, fill: Callable[[TransactWrite], None]) -> None:
        """All of it or nothing, tried again while other transactions hold the same rows.

        The client request token makes a repeated call harmless when only its answer was lost.

        :raises TransactWriteError: a condition failed; ``failed_conditions`` tells which.
        :raises Unavailable: the rows stayed contended, or the table throttles.
        """
        for attempt in range(MAX_CONTENDED_ATTEMPTS):
            try:
                with TransactWrite(connection=self.connection, client_request_token=str(uuid.uuid4())) as transaction:
                    fill(transaction)
                return
            except TransactWriteError as error:
                if failed_conditions(error) or not is_transient(error):
                    raise
                wait = min(CONTENDED_WAIT_SECONDS * 2**attempt, CONTENDED_MAX_WAIT_SECONDS)
                time.sleep(random.uniform(wait / 2, wait))
        raise Unavailable(
            "The organisation is being written to too often at the moment. Nothing was changed; try again."
        )


def failed_conditions(error: TransactWriteError) -> dict[int, dict[str, Any]]:
    """Position in the transaction -> the row as it is (when asked for), of each condition that failed."""
    return {
        position: (reason.raw_item or {})
        for position, reason in enumerate(error.cancellation_reasons)
        if reason is not None and reason.code == _CONDITION_FAILED
    }


def is_transient(error: TransactWriteError) -> bool:
    return any(reason is not None and reason.code in _TRANSIENT_REASONS for reason in error.cancellation_reasons)


@contextmanager
def contention_on_condition() -> Iterator[None]:
    """Turns the one expected refusal, a failed condition, into :class:`VersionConflict`; all else goes on as it is."""
    try:
        yield
    except TransactWriteError as error:
        if failed_conditions(error):
            raise VersionConflict from error
        raise
    except PynamoDBException as error:
        # A time-out has no response; PynamoDB's own cause_response_code stumbles over that.
        if isinstance(error.cause, ClientError) and error.cause_response_code in _LOST_RACES:
            raise VersionConflict from error
        raise
