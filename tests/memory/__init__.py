"""Memory twins of what is behind the ports: storage and the queue, without AWS or a mock of it.

They are for tests of logic, which then say ``open_temp`` and not ``s3.GetObject``. Whatever logic relies on, the twins
do as the real ones: ``tests/unit/stores`` holds both to one suite. Tables have no twin, nor have the rate counters, for
which the product has its own memory; docs/decisions/0027 says why.
"""

from __future__ import annotations

from chalicelib.processing.ports import Objects, Queue
from chalicelib.uploads.ports import DirectUploads
from tests.memory.direct_uploads import MemoryDirectUploads
from tests.memory.objects import MemoryObjects
from tests.memory.queue import MemoryQueue
from tests.memory.storage import Storage
from tests.memory.wire import Wire


class Memory:
    """The twins of one process, over one storage. By the types of its attributes, mypy proves that they fit the ports.

    :param copying: from which size, and in which, copies are made in parts; see :class:`MemoryObjects`.
    """

    def __init__(self, **copying: int) -> None:
        self.wire = Wire()
        self.messages = MemoryQueue(self.wire)
        self.storage = Storage(self.messages.hear_of)
        self.queue: Queue = self.messages
        self.objects: Objects = MemoryObjects(self.wire, self.storage, **copying)
        self.direct_uploads: DirectUploads = MemoryDirectUploads(self.wire, self.storage)
