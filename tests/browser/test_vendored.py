"""The libraries that the console carries are those of the npm registry, but for what the manifest replaces."""

from __future__ import annotations

from infra.vendored import FOLDER, from_registry, listed
from tests.browser.environment import npm


def test_vendored_files_are_those_of_the_registry() -> None:
    made = from_registry(listed(), npm=npm()[0])
    assert len(made) == len(listed())
    assert {name for name, content in made.items() if (FOLDER / name).read_bytes() != content} == set()
