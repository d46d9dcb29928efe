"""What DynamoDB does with client request tokens, and moto does not."""

from __future__ import annotations

import json
from typing import Any


class Tokens:
    """``TransactWriteItems`` with a token that took effect before takes effect no second time."""

    def __init__(self) -> None:
        #: Off, a repeated transaction is refused by its own conditions, as ten minutes later on AWS.
        self.are_kept = True
        self._done: dict[str, Any] = {}

    def answer(self, request: Any, model: Any) -> Any:
        """The answer that was given before, or None."""
        if model.name == "TransactWriteItems" and self.are_kept:
            return self._done.get(_token(request))
        return None

    def note(self, request: Any, model: Any, answer: Any) -> None:
        if model.name == "TransactWriteItems" and answer[0] is not None and answer[0][0].status_code == 200:
            self._done[_token(request)] = answer


def _token(request: Any) -> str:
    token: str = json.loads(request.body)["ClientRequestToken"]
    return token
