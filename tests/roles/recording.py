"""Notes which function of the deployment needs which action, while the tests run.

`recorded.json` holds what all unit tests and fault injections together have needed; `make actions` writes it anew.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from botocore import handlers
from botocore.awsrequest import AWSPreparedRequest, AWSRequest

from infra.functions import FUNCTIONS
from tests.roles.actions import Request, needed

FOLDER = Path(__file__).parent
RECORDED = FOLDER / "recorded.json"
#: A folder in which each process of a run notes what it has seen.
NOTES_VARIABLE = "NOTE_ACTIONS_IN"

#: Module in whose frames a function's work begins -> the function. Tests do not always come through app.py.
_BEGINS = {
    "chalicelib.web.middleware": "api",
    "chalicelib.processing.announcements": "process",
    "chalicelib.sweep.sweeping": "sweep",
    "chalicelib.events.publishing": "publish",
    "chalicelib.webhooks.batches": "deliver",
    "chalicelib.audit.upkeep": "audit",
    "chalicelib.audit.sealing": "audit",
}
#: Below this call a test plays somebody else.
_INTERRUPT = ("tests.faults.wire", "begin")
_HANDLERS = {function.handler: function.name for function in FUNCTIONS}
#: Function, action, resource.
Need = tuple[str, str, str]

_seen: set[Need] = set()


def seen() -> set[Need]:
    """By this process, since its start."""
    return _seen


def is_noting() -> bool:
    """Whether this run is to write down what it sees."""
    return NOTES_VARIABLE in os.environ


@functools.cache
def recorded() -> frozenset[Need]:
    """In the file."""
    held: dict[str, dict[str, list[str]]] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return frozenset(
        (function, action, resource)
        for function, actions in held.items()
        for action, resources in actions.items()
        for resource in resources
    )


def written(needs: Iterable[Need]) -> str:
    """The file's text."""
    held: dict[str, dict[str, list[str]]] = {}
    for name, action, resource in sorted(needs):
        held.setdefault(name, {}).setdefault(action, []).append(resource)
    return json.dumps(held, indent=2) + "\n"


def listen(stack: str) -> None:
    """Before the first client is made, for the whole process."""

    def note(
        request: AWSRequest | AWSPreparedRequest, event_name: str, signature_version: str = "v4", **_: Any
    ) -> None:
        function = _function()
        if function is not None:
            service, operation = event_name.split(".")[1:]
            asked = Request(
                service=service,
                operation=operation,
                url=str(request.url),
                headers={name.lower(): _text(value) for name, value in request.headers.items()},
                body=_text(request.data if isinstance(request, AWSRequest) else request.body),
                presigned=signature_version.endswith(("-query", "-presign-post")),
            )
            _seen.update((function, action, resource) for action, resource in needed(asked, stack))

    # What is signed for somebody else is never sent; what the fast path sends botocore has not signed.
    handlers.BUILTIN_HANDLERS += [("before-sign", note), ("before-send", note)]
    _follow_threads()


def leave_notes() -> None:
    """For `make actions`, which joins those of all processes."""
    folder = os.environ.get(NOTES_VARIABLE)
    if folder:
        (Path(folder) / f"{os.getpid()}.json").write_text(written(_seen), encoding="utf-8")


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _function() -> str | None:
    """Whose work the calling thread does: what the frames below the test began with, or of who started the thread."""
    found = getattr(threading.current_thread(), "_works_for", None)
    frame: Any = sys._getframe()
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("tests.unit.") or (module, frame.f_code.co_name) == _INTERRUPT:
            # What a test does in the middle of a function's call, it does as somebody else.
            return found
        found = _HANDLERS.get(frame.f_code.co_name, found) if module == "app" else _BEGINS.get(module, found)
        frame = frame.f_back
    return found


def _follow_threads() -> None:
    start = threading.Thread.start

    @functools.wraps(start)
    def follow(thread: threading.Thread) -> None:
        setattr(thread, "_works_for", _function())  # noqa: B010
        start(thread)

    setattr(threading.Thread, "start", follow)  # noqa: B010
