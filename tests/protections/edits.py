"""Finds the code of a protection by qualified name and parsed form, and takes it out.

Moving a function to another module, renaming a file, or formatting changes nothing of what is found.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import chain
from pathlib import Path

from tests.protections.catalogue.protection import Protection

#: Where protected code can be, relative to the root of a tree.
SOURCES = ("app.py", "chalicelib", "infra")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class NoEdit(Exception):
    """The code of a protection is not in the tree, or is there more than once."""


Replace = Callable[[], None]


def edit(root: Path, protection: Protection) -> tuple[Path, str]:
    """The file that holds the protection, and its source without it.

    :raises NoEdit: unless the code occurs exactly once in all definitions of that name.
    """
    paths = [path for path, names in _names(root).items() if protection.where in names]
    if not paths:
        raise NoEdit(f"nothing in {', '.join(SOURCES)} is called {protection.where}")
    found = []
    for path in paths:
        module = ast.parse(path.read_text(encoding="utf-8"))
        for name, scope in _definitions(module):
            if name == protection.where:
                found += [(path, module, replace) for replace in _replacements(scope, protection)]
    if len(found) != 1:
        raise NoEdit(f"{protection.where} holds this {len(found)} times, not once: {protection.code}")
    ((path, module, replace),) = found
    replace()
    return path, ast.unparse(ast.fix_missing_locations(module)) + "\n"


@cache
def _names(root: Path) -> dict[Path, frozenset[str]]:
    places = [root / source for source in SOURCES]
    paths = [path for place in places for path in ([place] if place.is_file() else sorted(place.rglob("*.py")))]
    return {
        path: frozenset(name for name, _ in _definitions(ast.parse(path.read_text(encoding="utf-8")))) for path in paths
    }


def _definitions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    """Functions and classes by qualified name; of a module and its classes also the names that are assigned."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition):
            yield prefix + child.name, child
            yield from _definitions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.Assign | ast.AnnAssign) and isinstance(node, ast.Module | ast.ClassDef):
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            yield from ((prefix + target.id, child) for target in targets if isinstance(target, ast.Name))
        elif isinstance(child, ast.stmt):
            yield from _definitions(child, prefix)


def _replacements(scope: ast.stmt, protection: Protection) -> Iterator[Replace]:
    code, without = ast.parse(protection.code).body, ast.parse(protection.without).body
    expression, other = _expression(code), _expression(without)
    if expression is not None and other is not None:
        return _of_expression(scope, expression, other)
    return chain(_of_statements(scope, code, without), _of_argument(scope, code, without))


def _is(node: object, wanted: ast.AST) -> bool:
    """Of one form, whatever the layout."""
    return type(node) is type(wanted) and ast.unparse(node) == ast.unparse(wanted)


def _expression(statements: list[ast.stmt]) -> ast.expr | None:
    only = statements[0] if len(statements) == 1 else None
    return only.value if isinstance(only, ast.Expr) else None


def _of_expression(scope: ast.stmt, wanted: ast.expr, other: ast.expr) -> Iterator[Replace]:
    for holder in ast.walk(scope):
        for field, value in ast.iter_fields(holder):
            if isinstance(value, list):
                for index, item in enumerate(value):
                    if _is(item, wanted):
                        yield partial(value.__setitem__, index, other)
            elif _is(value, wanted):
                yield partial(setattr, holder, field, other)


def _of_statements(scope: ast.stmt, wanted: list[ast.stmt], others: list[ast.stmt]) -> Iterator[Replace]:
    for holder in ast.walk(scope):
        for _, block in ast.iter_fields(holder):
            if not isinstance(block, list) or not all(isinstance(statement, ast.stmt) for statement in block):
                continue
            for start in range(len(block) - len(wanted) + 1):
                if all(map(_is, block[start:], wanted)):
                    yield partial(block.__setitem__, slice(start, start + len(wanted)), others)


def _of_argument(scope: ast.stmt, wanted: list[ast.stmt], others: list[ast.stmt]) -> Iterator[Replace]:
    """An argument by name, which reads like an assignment."""
    given, instead = _argument(wanted), _argument(others)
    for call in ast.walk(scope):
        if given is not None and isinstance(call, ast.Call):
            for index, argument in enumerate(call.keywords):
                if _is(argument, given):
                    kept = [instead] if instead is not None else []
                    yield partial(call.keywords.__setitem__, slice(index, index + 1), kept)


def _argument(statements: list[ast.stmt]) -> ast.keyword | None:
    match statements:
        case [ast.Assign(targets=[ast.Name(id=name)], value=value)]:
            return ast.keyword(name, value)
    return None
