"""Migrations."""

from __future__ import annotations

from tests.protections.catalogue.places import (
    MIGRATIONS_TESTS,
)
from tests.protections.catalogue.protection import Protection

MIGRATIONS = (
    Protection(
        "One runner applies migrations at a time",
        "infra/migrations/ledger.py",
        "self._lock_row().save(condition=free)",
        "self._lock_row().save()",
        (f"{MIGRATIONS_TESTS}::test_second_runner_at_the_same_time_is_told_to_wait",),
    ),
    Protection(
        "A runner that lost its lock writes nothing",
        "infra/migrations/ledger.py",
        "transaction.save(self._lock_row(), condition=LedgerRow.owner == self._owner)",
        "transaction.save(self._lock_row())",
        (f"{MIGRATIONS_TESTS}::test_runner_that_lost_its_lock_can_write_nothing_and_does_not_release_the_next_ones",),
    ),
    Protection(
        "A migration goes on from the saved position",
        "infra/migrations/runner.py",
        "position = started.position if started else None",
        "position = None",
        (f"{MIGRATIONS_TESTS}::test_crash_in_the_middle_goes_on_from_the_saved_position",),
    ),
    Protection(
        "A deployment of a newer version is left alone",
        "infra/migrations/runner.py",
        "    if unknown:",
        "    if False:",
        (f"{MIGRATIONS_TESTS}::test_deployment_of_a_newer_version_is_left_alone",),
    ),
    Protection(
        "A migration does not overwrite what the application writes meanwhile",
        "infra/migrations/m0002_derive_index_keys.py",
        "condition=FileRow.version == row.version, ",
        "",
        (f"{MIGRATIONS_TESTS}::test_row_that_the_application_writes_meanwhile_stays_as_the_application_wrote_it",),
    ),
)
