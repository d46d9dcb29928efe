"""Names the installation. The stack makes tables; what identifies this one deployment of them is data."""

from __future__ import annotations

import uuid

from infra.migrations.runner import Context

DESCRIPTION = "give the installation an id, which `status` shows and support asks for"


def apply(context: Context) -> None:
    if not context.position:
        context.save_position({"installation_id": str(uuid.uuid4())})
    context.report(f"  installation {context.position['installation_id']}")
