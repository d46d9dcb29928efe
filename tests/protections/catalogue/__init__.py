"""What the promises rest on, as small edits that take each protection out, and the tests that must fail then.

An edit leaves code that runs and does what it is for while nobody is hostile and nothing goes wrong. It is found by
the qualified name of the function and by the parsed code, wherever the function is and however it is formatted::

    Protection(
        "A file is deleted only while it is as it was read",
        "FileStore.remove",
        "condition=FileRow.version == file.version",
        "condition=FileRow.file_id.exists()",
        (f"{FILES_TESTS}::test_file_that_begins_to_be_processed_while_it_is_deleted_is_deleted",),
    )

An entry is worth its upkeep when it guards isolation, data from loss, a quota, a session, a presigned limit or a
secret. Mutations of arithmetic and comparisons are the work of ``make mutants``.
"""

from __future__ import annotations

from tests.protections.catalogue.answers import ANSWERS
from tests.protections.catalogue.api_keys import API_KEYS
from tests.protections.catalogue.audit import AUDIT
from tests.protections.catalogue.console import CONSOLE
from tests.protections.catalogue.deletion_and_sweep import DELETION_AND_SWEEP
from tests.protections.catalogue.deployment import DEPLOYMENT
from tests.protections.catalogue.direct_uploads import DIRECT_UPLOADS
from tests.protections.catalogue.events import EVENTS
from tests.protections.catalogue.fast_path import FAST_PATH
from tests.protections.catalogue.invitations import INVITATIONS
from tests.protections.catalogue.isolation import ISOLATION
from tests.protections.catalogue.local_stack import LOCAL_STACK
from tests.protections.catalogue.migrations import MIGRATIONS
from tests.protections.catalogue.operators import OPERATORS
from tests.protections.catalogue.people import PEOPLE
from tests.protections.catalogue.processing_once import PROCESSING_ONCE
from tests.protections.catalogue.protection import Protection
from tests.protections.catalogue.queue import QUEUE
from tests.protections.catalogue.rows_and_counters import ROWS_AND_COUNTERS
from tests.protections.catalogue.second_factor import SECOND_FACTOR
from tests.protections.catalogue.sessions_and_limits import SESSIONS_AND_LIMITS
from tests.protections.catalogue.webhooks import WEBHOOKS

__all__ = ["ALL", "CATALOGUE", "Protection"]

CATALOGUE: dict[str, tuple[Protection, ...]] = {
    "Rows, counters and quotas": ROWS_AND_COUNTERS,
    "Isolation": ISOLATION,
    "Processing": PROCESSING_ONCE,
    "People and permissions": PEOPLE,
    "The queue": QUEUE,
    "Deletion and the sweep": DELETION_AND_SWEEP,
    "Uploads straight to S3": DIRECT_UPLOADS,
    "Sessions and limits": SESSIONS_AND_LIMITS,
    "API keys": API_KEYS,
    "Invitations and names": INVITATIONS,
    "The second factor and own sessions": SECOND_FACTOR,
    "Events": EVENTS,
    "Webhooks": WEBHOOKS,
    "The audit trail": AUDIT,
    "The console": CONSOLE,
    "Answers, names and logs": ANSWERS,
    "On AWS": DEPLOYMENT,
    "Migrations": MIGRATIONS,
    "The operator's commands": OPERATORS,
    "The fast path": FAST_PATH,
    "The stack on a laptop": LOCAL_STACK,
}
ALL = [protection for area in CATALOGUE.values() for protection in area]
