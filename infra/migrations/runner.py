"""Finds the migrations, and applies those that a deployment has not seen."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import infra.migrations
from infra.migrations.ledger import APPLIED, RUNNING, Ledger, MigrationError

if TYPE_CHECKING:
    from chalicelib.wiring import Stores

Report = Callable[[str], None]
_NAME = re.compile(r"m(\d{4}_[a-z0-9_]+)")


@dataclass(frozen=True)
class Migration:
    migration_id: str
    description: str
    apply: Callable[[Context], None]


@dataclass
class Context:
    """What a migration gets: the stores, where it stopped last time, and a way to say how far it is."""

    stores: Stores
    report: Report
    #: What was saved by an earlier, interrupted run; None at first.
    position: Any
    _save: Callable[[Any], None]

    def save_position(self, position: Any) -> None:
        """Call after each page of work: a later run goes on from here. Also renews the lock."""
        self._save(position)
        self.position = position


def known_migrations() -> list[Migration]:
    """All migrations of this version, in order.

    :raises MigrationError: two have the same number.
    """
    found: list[Migration] = []
    for module in sorted(pkgutil.iter_modules(infra.migrations.__path__), key=lambda m: m.name):
        match = _NAME.fullmatch(module.name)
        if match:
            found.append(_read(match[1], importlib.import_module(f"infra.migrations.{module.name}")))
    numbers = [migration.migration_id[:4] for migration in found]
    if len(set(numbers)) != len(numbers):
        raise MigrationError("Two migrations have the same number.")
    return found


def pending(ledger: Ledger, migrations: list[Migration]) -> list[Migration]:
    """Those that are still to be applied, in order.

    :raises MigrationError: the deployment has seen one that this version does not know.
    """
    entries = ledger.entries()
    unknown = sorted(set(entries) - {migration.migration_id for migration in migrations})
    if unknown:
        raise MigrationError(
            f"This deployment has had {', '.join(unknown)}, which this version does not know. "
            "Use the version that it was deployed with, or a newer one."
        )
    return [m for m in migrations if m.migration_id not in entries or entries[m.migration_id].state != APPLIED]


def migrate(stores: Stores, report: Report, migrations: list[Migration] | None = None) -> int:
    """Apply what is pending. Returns how many were.

    :raises MigrationError: another runner is at it, or a migration is recorded that we don't know.
    """
    migrations = known_migrations() if migrations is None else migrations
    ledger = Ledger(stores.settings.table_prefix)
    if not pending(ledger, migrations):
        return 0
    with ledger.held():
        # Looked at again under the lock: another runner may have finished meanwhile.
        todo = pending(ledger, migrations)
        entries = ledger.entries()
        for migration in todo:
            started = entries.get(migration.migration_id)
            report(f"{migration.migration_id}: {migration.description}" + (" (going on)" if started else ""))
            position = started.position if started else None
            ledger.record(migration.migration_id, RUNNING, position)

            def save(reached: Any, migration_id: str = migration.migration_id) -> None:
                ledger.record(migration_id, RUNNING, reached)

            context = Context(stores, report, position, save)
            migration.apply(context)
            ledger.record(migration.migration_id, APPLIED, context.position)
    return len(todo)


def _read(migration_id: str, module: ModuleType) -> Migration:
    return Migration(migration_id, module.DESCRIPTION, module.apply)
