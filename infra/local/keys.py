"""The keys to one emulator: drawn at random, kept from one start to the next, readable by their owner only."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

OPERATOR = "operator"
FILE_NAME = "keys.json"
_KEY_ID_BYTES = 16
_SECRET_BYTES = 30


@dataclass(frozen=True)
class Key:
    """An AWS access key."""

    access_key_id: str
    secret_access_key: str

    def variables(self) -> dict[str, str]:
        return {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}


class KeyFile:
    """The keys of one emulator, by the name of whoever uses them.

    :param folder: the emulator's own, in which it also keeps its state.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def read(self, name: str) -> Key | None:
        found = self._all().get(name)
        return Key(**found) if found else None

    def write(self, name: str, key: Key) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        written = self._path.with_suffix(".new")
        written.unlink(missing_ok=True)
        # Created for its owner only: a mode that is set afterwards leaves a moment for others to open it.
        with os.fdopen(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump({**self._all(), name: asdict(key)}, file, indent=2)
        written.replace(self._path)

    def operator(self) -> Key:
        """The operator's key, drawn when there is none yet.

        MiniStack lets the key that it is started with do everything and does not check its signature. So the id alone
        is as secret as a password: it has 128 random bits, goes to loopback only, and signs no URL.
        """
        found = self.read(OPERATOR)
        if found is None:
            found = Key("LOCAL" + secrets.token_hex(_KEY_ID_BYTES).upper(), secrets.token_urlsafe(_SECRET_BYTES))
            self.write(OPERATOR, found)
        return found

    def _all(self) -> dict[str, dict[str, str]]:
        try:
            read: dict[str, dict[str, str]] = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return read
