"""Puts direct uploads that were started before there were lists of open uploads on their users' lists.

Disabling a user ends what is on the list, and a limit counts it. Rows that nobody lists are right all the same: each
says whether it is listed, so that ending it takes nothing back.
"""

from __future__ import annotations

from chalicelib import keys
from chalicelib.files.rows import FileRow
from chalicelib.kernel.errors import VersionConflict
from infra.migrations.runner import Context

DESCRIPTION = "list the open direct uploads of each user"


def apply(context: Context) -> None:
    stores = context.stores
    model = stores.tables.bind(FileRow)
    listed = 0
    for shard in keys.unfinished_shards():
        for key in model.unfinished.query(shard):
            if keys.organization_of_removed(key.organization_id) is not None:
                continue
            file = stores.files.find(key.organization_id, key.file_id)
            if file is None or not file.awaits_bytes or file.listed_as_open:
                continue
            try:
                # The store lists what awaits bytes whenever it writes it.
                stores.files.replace(file, file)
            except VersionConflict:
                # The application wrote the row meanwhile, and so has listed it.
                continue
            listed += 1
    context.report(f"  {listed} uploads listed")
