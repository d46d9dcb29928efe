"""What browsers are told beside the answer."""

from __future__ import annotations

import pytest

from tests.unit.api import Api, Session
from tests.unit.conftest import Configure


@pytest.mark.parametrize("secure", ["true", "false"])
def test_browsers_are_bound_to_tls_where_there_is_tls(
    api: Api, anna: Session, configure: Configure, secure: str
) -> None:
    configure(COOKIE_SECURE=secure)
    for path in ("/auth/me", "/files", "/health", "/openapi.json", "/files/none"):
        told = api.get(path, anna).headers.get("Strict-Transport-Security", "")
        assert told.startswith("max-age=63072000") is (secure == "true"), path
