"""What the manifest of vendored libraries says of the files; tests/browser compares them with the registry."""

from __future__ import annotations

import hashlib

import pytest

from infra.vendored import FOLDER, MANIFEST, Vendored, listed


@pytest.mark.parametrize("file", listed(), ids=lambda file: file.name)
def test_file_is_the_one_that_the_manifest_pins(file: Vendored) -> None:
    assert hashlib.sha256((FOLDER / file.name).read_bytes()).hexdigest() == file.sha256


def test_manifest_lists_every_file() -> None:
    assert {path.name for path in FOLDER.iterdir()} - {MANIFEST.name} == {file.name for file in listed()}


def test_each_package_has_its_licence() -> None:
    licences = {file.package for file in listed() if file.name.startswith("LICENSE")}
    assert licences == {file.package for file in listed()}


def test_replacement_that_is_not_there_is_said() -> None:
    file = Vendored("a", "1", "a.mjs", "a.mjs", "", {'from"b"': 'from"./b.mjs"'})
    assert file.made_of(b'import"x"from"b"') == b'import"x"from"./b.mjs"'
    with pytest.raises(ValueError, match="not once"):
        file.made_of(b"nothing")
