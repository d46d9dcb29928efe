"""One entry of the catalogue."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Protection:
    """What one promise rests on, as an edit that takes it out.

    :param where: the function, class or module-level name that holds the code, by its qualified name, such as
        ``FileStore.find``, ``complete`` or ``READ_TIMEOUT_SECONDS``. It may be in any module of the application or
        of infra; the name of the module is not part of it.
    :param code: one expression, one argument by name (``limit=5``), or one or more whole statements, that occur once
        in there. It is compared as parsed code: line breaks, indentation, quotes, comments and redundant parentheses
        make no difference.
    :param without: what stands in its place when the protection is taken out; ``pass`` for statements and arguments.
    :param tests: pytest's node ids; each of them has to fail without the protection.
    """

    name: str
    where: str
    code: str
    without: str
    tests: tuple[str, ...]
