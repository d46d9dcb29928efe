"""Migrations."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    MIGRATIONS_TESTS,
)
from tests.protections.catalogue.protection import Protection

MIGRATIONS = (
    Protection(
        "One runner applies migrations at a time",
        "Ledger.held",
        "condition=free",
        "pass",
        (f"{MIGRATIONS_TESTS}::test_second_runner_at_the_same_time_is_told_to_wait",),
    ),
    Protection(
        "A migration does not overwrite what the application writes meanwhile",
        "_derive",
        "condition=FileRow.version == row.version",
        "pass",
        (f"{MIGRATIONS_TESTS}::test_row_that_the_application_writes_meanwhile_stays_as_the_application_wrote_it",),
    ),
)
