"""Writes the index keys of file rows anew where they differ from what chalicelib.keys makes today.

The keys of the filters and of the sweep's index are derived from the row. Rows written before a change of their form,
of the number of shards for one, would be missing from lists and never be swept.
"""

from __future__ import annotations

from pynamodb.exceptions import UpdateError
from pynamodb.expressions.update import Action

from chalicelib import keys
from chalicelib.files.rows import FileRow
from infra.migrations.runner import Context

DESCRIPTION = "derive the index keys of all file rows anew"
PAGE_ROWS = 200


def apply(context: Context) -> None:
    model = context.stores.tables.bind(FileRow)
    seen = changed = 0
    while True:
        page = model.scan(limit=PAGE_ROWS, page_size=PAGE_ROWS, last_evaluated_key=context.position)
        for row in page:
            if keys.is_open_uploads_partition(row.organization_id):
                continue
            seen += 1
            changed += _derive(row)
        if page.last_evaluated_key is None:
            context.report(f"  {seen} rows read, {changed} changed")
            return
        context.save_position(page.last_evaluated_key)
        context.report(f"  {seen} rows read, {changed} changed ...")


def _derive(row: FileRow) -> bool:
    if keys.organization_of_removed(row.organization_id) is not None:
        wanted: tuple[str | None, ...] = (None, None, keys.unfinished_shard(row.file_id))
    else:
        by_type = row.mime_type is not None and row.status == "completed"
        wanted = (
            keys.status_partition(row.organization_id, row.status),
            keys.mime_partition(row.organization_id, row.mime_type) if by_type else None,
            keys.unfinished_shard(row.file_id) if row.status in ("pending", "processing") else None,
        )
    attributes = (FileRow.status_key, FileRow.mime_key, FileRow.unfinished_shard)
    if wanted == (row.status_key, row.mime_key, row.unfinished_shard):
        return False
    actions: list[Action] = [
        attribute.set(value) if value is not None else attribute.remove()
        for attribute, value in zip(attributes, wanted, strict=True)
    ]
    try:
        row.update(actions=actions, condition=FileRow.version == row.version, add_version_condition=False)
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        # The application wrote the row meanwhile, and so with today's keys.
        return False
    return True
