"""Writes the tables of docs/ that follow from the code: settings, parameters of the stack, permissions, events.

Each is between two comments. A test holds pages and code together. Run it with `make docs`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chalicelib.all_routes import ROUTES
from chalicelib.events.records import AUDIT_ONLY, scope_of
from chalicelib.kernel.config import described
from chalicelib.kernel.permissions import ROLE_SCOPES, Role, Scope
from chalicelib.kernel.setting import Setting
from chalicelib.web.routing import Access
from infra import markdown
from infra.openapi import compile_document, read_source
from infra.template import generated

DOCS = Path(__file__).resolve().parents[1] / "docs"
BEGIN = "<!-- The table down to the next comment is written by `make docs`. -->"
END = "<!-- End of the table. -->"


def default_of(setting: Setting) -> str:
    """As the pages say it."""
    if setting.required:
        return "required"
    if setting.default in (None, ()):
        return "none"
    said = str(setting.default)
    return f"`{said.lower() if isinstance(setting.default, bool) else said}`"


def settings_table() -> str:
    rows = [(f"`{name}`", default_of(setting), setting.about) for name, setting in described().items()]
    return markdown.table(["variable", "default", "what it is"], rows)


def parameters_table() -> str:
    settings = {generated.camel_case(name): setting for name, setting in described().items()}
    rows = []
    for name, parameter in generated.parameters().items():
        own = settings[name].default
        default = parameter["Default"] or ("empty" if own is None else f"empty, for {own}")
        rows.append((f"`{name}`", default, parameter.get("Description") or settings[name].about))
    return markdown.table(["parameter", "default", ""], rows)


def limits_table() -> str:
    rows = [
        (setting.about, str(setting.default).replace("/", " per ").replace(";", ", "), f"`{name}`")
        for name, setting in described().items()
        if name.startswith("RATE_LIMIT_")
    ]
    return markdown.table(["what is counted", "default", "setting"], rows)


def permissions_tables() -> str:
    roles = [(f"`{scope}`", *(_yes(scope in ROLE_SCOPES[role]) for role in Role)) for scope in Scope]
    needs = [
        (f"`{route.method} {route.path}`", _needs(route.needs))
        for blueprint in ROUTES
        for route in blueprint.operations
        if not route.by_ticket
    ]
    return f"{markdown.table(['scope', *Role], roles)}\n\n{markdown.table(['route', 'needs'], needs)}"


def _yes(has: bool) -> str:
    return "yes" if has else ""


def _needs(needs: Scope | Access) -> str:
    return f"`{needs}`" if isinstance(needs, Scope) else needs.value


def events_tables() -> str:
    types = read_source()["x-events"]
    schemas = json.loads(compile_document())["components"]["schemas"]
    rows = [
        (
            f"`{name}`",
            described["when"],
            ", ".join(described["target"]),
            f"`{described['data']}`",
            _names(described.get("changes", ())),
            f"`{scope_of(name)}`{', audit only' if name in AUDIT_ONLY else ''}",
        )
        for name, described in types.items()
    ]
    forms = dict.fromkeys(described["data"] for described in types.values())
    told = markdown.table(["type", "when", "target", "data", "changes", "visible with"], rows)
    fields = markdown.table(
        ["data", "fields"], [(f"`{name}`", _names(_fields(schemas[name], schemas))) for name in forms]
    )
    return f"{told}\n\n{fields}"


def _names(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[str]:
    """Those of what it is made of first."""
    parts = (schemas[part["$ref"].rpartition("/")[2]] for part in schema.get("allOf", ()) if "$ref" in part)
    return [*(name for part in parts for name in _fields(part, schemas)), *schema.get("properties", {})]


#: Page -> what makes its table.
PAGES = {
    DOCS / "settings.md": settings_table,
    DOCS / "operations.md": parameters_table,
    DOCS / "permissions.md": permissions_tables,
    DOCS / "api.md": limits_table,
    DOCS / "events.md": events_tables,
}


def rendered(page: Path) -> str:
    """The page with its table as it should be."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} lacks the comments around its table")
    return f"{before}{BEGIN}\n{PAGES[page]()}\n{END}{after}"


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(rendered(path), encoding="utf-8")
