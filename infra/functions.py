"""The functions of a deployment, told once: packaging, template, local consumer, status and redrive read this.

What triggers a function in detail (batch size, period) is said by its decorator in app.py. Knows names, sizes and
queues; must not import chalicelib.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Chalice makes this one of all routes, and names it itself.
_API_HANDLER = "api_handler"


@dataclass(frozen=True)
class Queue:
    """A queue that triggers a function, and where its failed messages go.

    :param setting: field of the application's settings that holds the queue's URL; ``dead_letters`` likewise.
    :param title: for the operator; ``dead_letters_title`` likewise.
    """

    setting: str
    dead_letters: str
    title: str
    dead_letters_title: str


@dataclass(frozen=True)
class Function:
    """One function.

    :param name: the end of its name on AWS, after the stack's. Its role, log group and logical ids start with it.
    :param handler: as app.py names it.
    :param local_part: of `make up`, that runs it.
    :param queue: what triggers it, if it is a queue.
    :param stream: the table, without the deployment's prefix, whose stream triggers it, if it is one. Without either it
        is the API, or runs by a schedule.
    """

    name: str
    handler: str
    memory_mb: int
    timeout_seconds: int
    local_part: str
    queue: Queue | None = None
    stream: str | None = None

    @property
    def logical_id(self) -> str:
        """In the template, as Chalice makes it."""
        if self.handler == _API_HANDLER:
            return "APIHandler"
        return "".join(part.capitalize() for part in self.handler.split("_"))

    @property
    def role(self) -> str:
        """Logical id of its role, in roles.yaml."""
        return f"{self.name.capitalize()}Role"

    @property
    def logs(self) -> str:
        """Logical id of its log group."""
        return f"{self.name.capitalize()}Logs"


API = Function("api", _API_HANDLER, memory_mb=1024, timeout_seconds=28, local_part="api")
PROCESS = Function(
    "process",
    "process_uploads",
    # What waits for S3 pays by memory; what hashes pays the same with any, and takes longer: decision 0051.
    memory_mb=1024,
    timeout_seconds=900,
    local_part="consumer",
    queue=Queue("uploads_queue_url", "dead_letter_queue_url", "Uploads queue", "Dead letters"),
)
SWEEP = Function("sweep", "sweep", memory_mb=512, timeout_seconds=300, local_part="consumer")
PUBLISH = Function(
    "publish", "publish_events", memory_mb=512, timeout_seconds=60, local_part="consumer", stream="event-outbox"
)
DELIVER = Function(
    "deliver",
    "deliver_webhooks",
    memory_mb=512,
    timeout_seconds=120,
    local_part="consumer",
    queue=Queue(
        "webhooks_queue_url", "webhooks_dead_letter_queue_url", "Webhooks queue", "Dead letters of the webhooks queue"
    ),
)
AUDIT = Function("audit", "audit", memory_mb=512, timeout_seconds=900, local_part="consumer")

FUNCTIONS = (API, PROCESS, SWEEP, PUBLISH, DELIVER, AUDIT)
#: The queues that trigger functions.
QUEUES = tuple(function.queue for function in FUNCTIONS if function.queue is not None)


def by_handler(handler: str) -> Function:
    """:raises KeyError: this registry has no such function."""
    return {function.handler: function for function in FUNCTIONS}[handler]
