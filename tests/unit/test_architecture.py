"""The arrows of the house, by full path of each module, read off the source: app -> routes -> logic -> store.

Logic reaches what is not a table through a port, which stands beside it; ``platform`` and stores fulfil ports.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in [ROOT / "app.py", *sorted((ROOT / "chalicelib").rglob("*.py"))]
}
#: The packages that are about a subject of the product, each with routes -> logic -> store inside.
SUBJECT = r"(events|audit|webhooks|tenants|accounts|api_keys|invitations|files|uploads|processing|sweep|health|console)"
#: Logic and stores of a subject may know their own and what stands before it. Routes are where subjects meet.
SUBJECT_ORDER = (
    "events",
    "audit",
    "webhooks",
    "tenants",
    "files",
    "uploads",
    "api_keys",
    "accounts",
    "invitations",
    "processing",
    "sweep",
    "health",
    "console",
)
#: What each kind of module may import, by full path; the first pattern that fits a module tells its kind.
KINDS = (
    ("front", r"app|chalicelib\.all_routes"),
    ("wiring", r"chalicelib\.wiring"),
    ("keys", r"chalicelib\.keys"),
    ("kernel", r"chalicelib\.kernel(\..+)?"),
    ("platform", r"chalicelib\.platform(\..+)?"),
    ("web", r"chalicelib\.web(\..+)?"),
    ("routes", rf"chalicelib\.{SUBJECT}\.(\w+_)?routes"),
    ("store", rf"chalicelib\.{SUBJECT}\.(\w+_)?(store|rows)"),
    ("port", rf"chalicelib\.{SUBJECT}\.(\w+_)?ports"),
    ("records", rf"chalicelib\.{SUBJECT}\.((\w+_)?records?|organization|extensions|tokens|parts|key_text)"),
    ("logic", rf"chalicelib\.{SUBJECT}(\.\w+)?"),
    ("root", r"chalicelib"),
)
MAY_IMPORT = {
    "front": {"front", "routes", "web", "logic", "wiring", "kernel"},
    "routes": {"routes", "web", "logic", "records", "wiring", "kernel", "keys"},
    "web": {"web", "logic", "records", "wiring", "kernel"},
    "logic": {"logic", "port", "records", "store", "wiring", "kernel", "keys"},
    "store": {"store", "port", "records", "platform", "kernel", "keys"},
    # Builds the stores, and is handed to everyone.
    "wiring": {"store", "port", "platform", "kernel"},
    "platform": {"platform", "port", "kernel", "keys"},
    "port": {"port", "records", "kernel"},
    "records": {"records", "kernel"},
    "keys": {"kernel"},
    "kernel": {"kernel"},
    "root": set[str](),
}
#: The packages that only some kinds of module may know.
ONLY_IN = {
    "chalice": {"front", "web", "routes"},
    "boto3": {"platform"},
    "botocore": {"platform", "store"},
    "mypy_boto3_s3": {"platform", "store"},
    "mypy_boto3_sqs": {"platform"},
    "pynamodb": {"platform", "store"},
    "redis": {"platform"},
    "limits": {"platform"},
    "multipart": {"web"},
    "bcrypt": {"logic"},
    "pyotp": {"logic"},
    "segno": {"logic"},
    "magic": {"logic"},
    "pylibmagic": {"logic"},
    "homoglyph": {"kernel"},
}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def kind(module: str) -> str:
    return next(name for name, pattern in KINDS if re.fullmatch(pattern, module))


def imports(path: Path, *, at_import_only: bool = False) -> Iterator[str]:
    """Every module named by an import, wherever it stands; each name of ``from x import y`` as ``x.y``.

    :param at_import_only: leave out those inside functions and those for type checkers, which run later or never.
    """
    tree = parsed(path)
    skipped: set[ast.AST] = set()
    if at_import_only:
        for node in ast.walk(tree):
            late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
            if late or typing_only:
                skipped.update(ast.walk(node))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute here"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(name: str) -> str | None:
    """The module of ours that an imported name is, or is in."""
    while name:
        if name in MODULES and name != "chalicelib":
            return name
        name = name.rpartition(".")[0]
    return None


def test_arrows_point_one_way() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, path in MODULES.items()
        for name in imports(path)
        if (imported := ours(name)) is not None and kind(imported) not in MAY_IMPORT[kind(module)]
    ]
    assert not wrong


def test_subjects_build_on_each_other_in_one_order() -> None:
    def place(module: str) -> int | None:
        subject = module.removeprefix("chalicelib.").partition(".")[0]
        return SUBJECT_ORDER.index(subject) if subject in SUBJECT_ORDER and kind(module) != "routes" else None

    wrong = [
        f"{module} imports {imported}"
        for module, path in MODULES.items()
        for name in imports(path)
        if (imported := ours(name)) is not None
        and (here := place(module)) is not None
        and (there := place(imported)) is not None
        and there > here
    ]
    assert not wrong


def test_each_package_is_known_in_its_rooms_only() -> None:
    wrong = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        for name in imports(path)
        if kind(module) not in ONLY_IN.get(name.partition(".")[0], {kind(module)})
    ]
    assert not wrong


def test_nothing_that_is_deployed_needs_what_is_not() -> None:
    names = {name.partition(".")[0] for path in MODULES.values() for name in imports(path)}
    assert not names & {"infra", "tests", "benchmarks", "moto", "yaml", "click"}


def test_only_config_reads_the_environment() -> None:
    readers = {
        module for module, path in MODULES.items() if re.search(r"\benviron\b|getenv", path.read_text(encoding="utf-8"))
    }
    assert readers == {"chalicelib.kernel.config"}


def test_no_cycles() -> None:
    """Importing anything first works, so no module may need, while it loads, one that needs it."""
    graph = {
        module: {found for name in imports(path, at_import_only=True) if (found := ours(name)) and found != module}
        for module, path in MODULES.items()
    }
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"cycle: {' -> '.join((*path[path.index(module) :], module))}"
        if module not in done:
            for imported in graph[module]:
                visit(imported, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


#: ETags of parts are what clients list; logic compares them. Webhooks are signed by headers. The rest are names of
#: what stores offer.
KNOWN_TO_LOGIC = {"etag", "is_temp_bucket", "headers"}
FOREIGN_WORDS = {"s3", "sqs", "dynamodb", "boto3", "bucket", "etag", "cookie", "header", "headers"}


def test_logic_speaks_neither_aws_nor_http() -> None:
    """The names in the program, that is; a comment may explain where a rule comes from."""
    wrong = []
    for module in MODULES:
        if kind(module) not in ("logic", "port"):
            continue
        for node in ast.walk(parsed(MODULES[module])):
            name = getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "arg", None)
            if isinstance(name, str) and name not in KNOWN_TO_LOGIC and FOREIGN_WORDS & set(name.lower().split("_")):
                wrong.append(f"{module}: {name}")
    assert not wrong


def test_modules_stay_short_and_say_what_they_are_for() -> None:
    for module, path in MODULES.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) < (80 if module == "app" else 400), module
        assert ast.get_docstring(parsed(path)), module


def test_cold_start_loads_no_client() -> None:
    """What costs time is loaded when it is first used: the function that hashes never needs Redis, and so on."""
    costly = ("boto3", "botocore", "pynamodb", "redis", "limits", "magic", "pylibmagic", "homoglyph", "pyotp", "segno")
    program = f"import sys; import app; print(*[name for name in {costly!r} if name in sys.modules])"
    # Its own interpreter: this one has loaded everything long ago.
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def patches(source: str) -> list[str]:
    """Where a test would use mocks, or replace a function of ours; a constant, such as the size of a part, is none."""
    tree, found = ast.parse(source), []
    ours: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            for alias in node.names:
                name = f"{module}.{alias.name}" if module else alias.name
                if (name.startswith("unittest") and "mock" in name) or name.partition(".")[0] == "mock":
                    found.append(f"{node.lineno}: {name}")
                if name.partition(".")[0] in ("app", "chalicelib", "infra"):
                    ours[alias.asname or alias.name.partition(".")[0]] = name
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) in ("setattr", "delattr", "setitem"):
            target = _target(node, ours)
            if target is not None and not re.fullmatch(r"[A-Z_]+", target.rpartition(".")[2]):
                found.append(f"{node.lineno}: {target}")
    return found


def _target(call: ast.Call, ours: dict[str, str]) -> str | None:
    """The dotted name of ours that a call of monkeypatch replaces."""
    first = call.args[0] if call.args else None
    if isinstance(first, ast.Constant):
        return str(first.value) if str(first.value).startswith(("app.", "chalicelib.", "infra.")) else None
    root = first
    while isinstance(root, ast.Attribute | ast.Subscript | ast.Call):
        root = root.func if isinstance(root, ast.Call) else root.value
    if first is None or not isinstance(root, ast.Name) or len(call.args) < 2:
        return None
    name = ast.unparse(call.args[1]).strip("'\"")
    of_a_store = ast.unparse(first).startswith(("world.stores", "stores."))
    return f"{ast.unparse(first)}.{name}" if root.id in ours or of_a_store else None


def test_no_test_replaces_code_by_a_mock() -> None:
    """Whoever patches what is tested tests the patch."""
    wrong = {
        path.name: found
        for path in (ROOT / "tests").rglob("*.py")
        if (found := patches(path.read_text(encoding="utf-8")))
    }
    assert wrong == {}


@pytest.mark.parametrize(
    "source",
    [
        "from unittest import mock",
        "import unittest.mock",
        "from unittest.mock import patch",
        "from mock import patch",
        "monkeypatch.setattr('chalicelib.files.store.read', broken)",
        "from chalicelib.files import store\nmonkeypatch.setattr(store, 'read', broken)",
        "import app\nmonkeypatch.setattr(app.app.routes['/health'], 'view_function', broken)",
        "monkeypatch.setattr(world.stores.files, 'replace', broken)",
    ],
)
def test_mock_and_patch_of_ours_is_seen(source: str) -> None:
    assert patches(source)


@pytest.mark.parametrize(
    "source", ["from moto import mock_aws", "monkeypatch.setattr('time.time', later)", "x.setattr(bcrypt, 'a', b)"]
)
def test_what_stands_for_the_outside_may_be_replaced(source: str) -> None:
    assert patches(source) == []


def test_name_of_an_error_of_aws_is_read_in_one_place() -> None:
    """It has no fixed form: the answer to a HEAD has none, and botocore's own classes leave it out."""
    files = [*MODULES.values(), *(ROOT / "infra").rglob("*.py")]
    by_hand = [path for path in files if re.search(r'(\["|get\(")Error".*"Code"', path.read_text(encoding="utf-8"))]
    assert [path.name for path in by_hand] == ["aws.py"]
