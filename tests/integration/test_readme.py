"""The README's console blocks run in bash against `make up` and print what the README shows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.processes import HOST
from infra.local.up import ROOT
from tests.integration.test_up import Up, copy_sources

pytestmark = pytest.mark.xdist_group("up")

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
#: As the README has it, where the ports are the defaults.
DEFAULT_ADDRESS = "http://127.0.0.1:8000"
END_OF_OUTPUT = "---- end of the output of one command ----"
WILDCARD = "…"
PATIENCE_SECONDS = 120


def steps(block: str) -> list[tuple[str, str]]:
    """Each command, with its continuation lines, and the output that the README shows below it."""
    found: list[tuple[str, str]] = []
    for typed in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = typed.splitlines()
        length = next(number for number, line in enumerate(lines, 1) if not line.endswith("\\"))
        found.append(("\n".join(lines[:length]), "\n".join(lines[length:]).strip()))
    return found


def pattern(shown: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, shown.split(WILDCARD))), re.DOTALL)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    sources = copy_sources(tmp_path_factory.mktemp("sources"))
    made = Up(tmp_path_factory.mktemp("up") / "state", sources)
    try:
        yield made.start().await_up()
    finally:
        made.destroy()


def type_in(block: str, up: Up, folder: Path) -> list[str]:
    """The output of each command of the block, typed into one shell. The first command that fails ends it."""
    address = f"http://{HOST}:{up.ports['API_PORT']}"
    commands = [command.replace(DEFAULT_ADDRESS, address) for command, _ in steps(block)]
    script = "\n".join(f"{command}\nprintf '\\n%s\\n' '{END_OF_OUTPUT}'" for command in commands)
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=up.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return [output.strip() for output in done.stdout.split(END_OF_OUTPUT)[:-1]]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_each_command_of_the_readme_prints_what_is_shown(block: str, up: Up) -> None:
    for (command, shown), printed in zip(steps(block), type_in(block, up, up.root), strict=True):
        assert pattern(shown).fullmatch(printed), f"$ {command}\nshown:   {shown}\nprinted: {printed}"


def test_the_readme_has_a_tour_and_the_operators_commands() -> None:
    assert [command.split()[0] for block in BLOCKS for command, _ in steps(block)[:1]] == ["cd", "."]
    assert "$ strongroom status\n" in BLOCKS[1]
