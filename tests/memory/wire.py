"""Between the product and the twins: what is called, and what goes wrong there. Calls are named as in the ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from botocore.exceptions import EndpointConnectionError

from chalicelib.kernel.errors import Conflict


class Wire:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.breaks = False
        self._away: list[frozenset[str]] = []
        self._before: dict[str, Callable[[], object]] = {}
        self._unassembled: list[Callable[[], None]] | None = None
        self._another_completes = False

    def begin(self, call: str) -> None:
        """A call is on its way. What is raised here, it never arrives.

        :raises EndpointConnectionError: what is behind the port is away; an error that the product takes for an outage.
        """
        self.calls.append(call)
        act = self._before.pop(call, None)
        if act is not None:
            act()
        if not self.is_up(call):
            raise EndpointConnectionError(endpoint_url="https://away.example")

    def is_up(self, call: str) -> bool:
        return not any(call in calls or not calls for calls in self._away)

    def assemble(self, work: Callable[[], None]) -> bool:
        """Do it now or, where storage takes its time, later. Whether it is done."""
        if self._another_completes:
            raise Conflict
        if self._unassembled is not None:
            self._unassembled.append(work)
            return False
        work()
        return True

    @contextmanager
    def away(self, *calls: str) -> Iterator[None]:
        """An outage of these calls; of everything when none is named."""
        away = frozenset(calls)
        self._away.append(away)
        try:
            yield
        finally:
            self._away.remove(away)

    @contextmanager
    def just_before(self, call: str, act: Callable[[], object], *, required: bool = True) -> Iterator[None]:
        """Do something once, right before this call arrives: what another process might do just then.

        :param required: that the call is made at all.
        """
        self._before[call] = act
        yield
        assert self._before.pop(call, None) is None or not required, f"{call} was never called"

    @contextmanager
    def breaking_connections(self) -> Iterator[None]:
        """Connections break after a mebibyte of an upload, and have to be replaced."""
        self.breaks = True
        yield
        self.breaks = False

    @contextmanager
    def slow_to_assemble(self) -> Iterator[Callable[[], None]]:
        """Assembling parts takes longer than the product waits; the result lets it come to its end."""
        unassembled = self._unassembled = []

        def finish() -> None:
            for work in unassembled:
                work()

        yield finish
        self._unassembled = None

    @contextmanager
    def another_completes(self) -> Iterator[None]:
        """Another call is just assembling the same parts."""
        self._another_completes = True
        yield
        self._another_completes = False
