"""What all DynamoDB tables share: names, client limits, transactions. Knows no row of any subject."""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from botocore.exceptions import ClientError
from pynamodb.connection import Connection
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.expressions.condition import Condition
from pynamodb.models import Model
from pynamodb.pagination import ResultIterator
from pynamodb.transactions import TransactWrite

from chalicelib.kernel.errors import Unavailable, VersionConflict
from chalicelib.platform.columns import Item
from chalicelib.platform.fast_path import open_fast_path

Row = TypeVar("Row", bound=Model)

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

#: Up to so many rows it costs less to read what is skipped along with the page than to ask once more.
MAX_SKIPPED_IN_PAGE = 100

#: DynamoDB's words for "not now": the same call may well succeed a moment later.
_TRANSIENT_REASONS = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
#: The answers to a single write that came second: after another write, or during a transaction on the same item.
_LOST_RACES = frozenset({"ConditionalCheckFailedException", "TransactionConflictException"})
_CONDITION_FAILED = "ConditionalCheckFailed"


class ClientLimits:
    """Time-outs and retries of every table's client.

    A model's Meta may have ``expires_by`` too: the attribute of epoch seconds after which DynamoDB deletes a row (TTL);
    and ``stream``, what the table's stream tells of each change (AWS: StreamViewType).
    """

    connect_timeout_seconds = CONNECT_TIMEOUT_SECONDS
    read_timeout_seconds = READ_TIMEOUT_SECONDS
    max_retry_attempts = MAX_RETRIES
    max_pool_connections = 50


@dataclass(frozen=True)
class Query:
    """Rows of one partition of a table or of an index, newest first."""

    partition: str
    condition: Condition | None = None
    #: Without one it is the table's own partition, which is read consistently; an index can't be.
    index_name: str | None = None
    #: False where half the read units count more.
    consistent: bool = True
    #: Attributes that are sent; none for all. Reading is billed by whole rows.
    only: tuple[str, ...] = ()

    def options(self) -> dict[str, Any]:
        of_index = {"index_name": self.index_name} if self.index_name else {"consistent_read": self.consistent}
        attributes = {"attributes_to_get": list(self.only)} if self.only else {}
        return {**of_index, **attributes, "scan_index_forward": False}


def _key_after(connection: Any, query: Query, count: int) -> Any:
    """Where the rows after the first ``count`` begin; None when there are no more."""
    key = None
    while count > 0:
        options = {**query.options(), "exclusive_start_key": key, "limit": count, "select": "COUNT"}
        answer = connection.query(query.partition, query.condition, **options)
        count -= answer["Count"]
        key = answer.get("LastEvaluatedKey")
        if key is None:
            return None
    return key


class _Connection(Connection):
    """PynamoDB's, whose client tries the fast path first."""

    @property
    def client(self) -> Any:
        client = super().client
        # PynamoDB makes another one as long as there are no credentials.
        open_fast_path(client)
        return client


class Tables:
    """The tables of one deployment: models bound to its names, and one connection for all of them."""

    def __init__(
        self, table_prefix: str, on_contention: Callable[[], None] = lambda: None, *, fast_path: bool = True
    ) -> None:
        """:param on_contention: called each time that a transaction is tried again because others hold its rows."""
        self._table_prefix = table_prefix
        self._on_contention = on_contention
        self._bound: dict[type[Model], type[Model]] = {}
        self.connection = (_Connection if fast_path else Connection)(
            connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
            read_timeout_seconds=READ_TIMEOUT_SECONDS,
            max_retry_attempts=MAX_RETRIES,
            max_pool_connections=ClientLimits.max_pool_connections,
        )

    def bind(self, model: type[Row]) -> type[Row]:
        """The model as a class of its own for this deployment's table; the same one each time.

        PynamoDB keeps a table's name and connection on the class, so two deployments in one process need two classes.
        Attributes of the unbound model serve in conditions and updates all the same.
        """
        if model not in self._bound:
            shape: Any = model
            meta = type("Meta", (shape.Meta,), {"table_name": f"{self._table_prefix}-{shape.Meta.table_name}"})
            bound: Any = type(shape.__name__, (shape,), {"Meta": meta, "__module__": shape.__module__})
            # Left to itself each model loads an AWS client of its own, which costs a cold start about 0.1 s a table.
            of_table = bound._get_connection()
            # Two models may be rows of one table.
            if all(known.Meta.table_name != bound.Meta.table_name for known in self._bound.values()):
                self.connection.add_meta_table(of_table.get_meta_table())
            of_table.connection = self.connection
            self._bound[model] = bound
        return self._bound[model]  # type: ignore[return-value]

    def find_item(self, model: type[Model], hash_key: str, range_key: str | None = None) -> Item | None:
        """The row as it is stored, read consistently; for those who make a record of it without a model."""
        connection: Any = model._get_connection()
        found: Item | None = connection.get_item(hash_key, range_key, consistent_read=True).get("Item")
        return found

    def query_items(self, model: type[Model], query: Query, limit: int, skip: int = 0) -> Iterator[Item]:
        """At most ``limit`` rows as they are stored, after the first ``skip``.

        DynamoDB reads, and bills, what is skipped, but it is not sent: it is counted by a query of its own, or by one
        for each megabyte that it reads.
        """
        connection: Any = model._get_connection()
        options = query.options()
        if skip > MAX_SKIPPED_IN_PAGE:
            options["exclusive_start_key"] = start = _key_after(connection, query, skip)
            if start is None:
                return iter(())
            skip = 0
        arguments = [query.partition, query.condition]
        rows = ResultIterator[Item](connection.query, arguments, {**options, "limit": skip + limit}, limit=skip + limit)
        return islice(rows, skip, None)

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
                self._on_contention()
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
