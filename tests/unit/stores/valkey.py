"""A real Valkey, in whose time seconds can pass without waiting."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import redis

from infra.local.cache import cache_url, start_cache
from infra.local.processes import HOST, free_port

#: A port of this machine where nothing listens.
CACHE_AWAY = f"redis://{HOST}:1/0"


class Valkey:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self.url = cache_url(self._port)
        self.start()

    def start(self) -> None:
        self._child = start_cache(self._port, self._folder, lambda name, line: None)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((HOST, self._port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "Valkey did not start"
                time.sleep(0.01)

    def stop(self) -> None:
        """As in a crash: what was counted is gone."""
        self._child.kill()

    @property
    def _client(self) -> Any:
        return redis.Redis.from_url(self.url)

    def empty(self) -> None:
        self._client.flushall()

    def let_pass(self, seconds: float) -> None:
        """Each key lives so much shorter; one that would be gone is."""
        for key in list(self._client.scan_iter()):
            left_ms = int(self._client.pttl(key) - seconds * 1000)
            # Not positive: it is deleted.
            self._client.pexpire(key, left_ms)
