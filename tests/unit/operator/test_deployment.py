"""Decisions of a deployment that need no stack."""

from __future__ import annotations

import pytest

from infra.deployment import moved_into_bounds

DECLARED = {
    "OldVersionDays": {"Type": "Number", "MinValue": 36, "MaxValue": 3650},
    "MaxUploadBytes": {"Type": "Number", "MinValue": 1, "MaxValue": 4_500_000},
    "ApiRateLimit": {"Type": "Number"},
    "CacheUrl": {"Type": "String"},
}


@pytest.mark.parametrize(
    ("kept", "moved"),
    [
        ({"OldVersionDays": "30"}, {"OldVersionDays": "36"}),
        ({"MaxUploadBytes": "4718592"}, {"MaxUploadBytes": "4500000"}),
        ({"OldVersionDays": "36", "MaxUploadBytes": "4500000"}, {}),
        ({"ApiRateLimit": "7", "CacheUrl": "redis://x"}, {}),
    ],
)
def test_kept_number_that_the_new_template_refuses_is_moved(kept: dict[str, str], moved: dict[str, str]) -> None:
    assert moved_into_bounds(DECLARED, kept) == moved
