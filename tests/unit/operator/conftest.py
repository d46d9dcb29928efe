"""The operator's command line, run in this process against the unit tests' AWS."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from infra.__main__ import main
from tests.unit.cloud import DEAD_LETTER_QUEUE, QUEUE
from tests.unit.conftest import Configure
from tests.unit.world import World


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def _program(arguments: tuple[str, ...]) -> None:
    """The whole program, exit codes and sentences included, as a command that click's runner can call."""
    # The API of the same test logs to standard output, which now is the program's.
    logging.getLogger().handlers[:] = [logging.NullHandler()]
    sys.argv = ["infra", *arguments]
    main()


class Operator:
    def __init__(self, world: World) -> None:
        self._world = world
        self._runner = CliRunner()

    def run(self, *arguments: str, typed: str | bytes = "") -> Result:
        """:param typed: what comes over standard input, or is typed at prompts."""
        return self._runner.invoke(_program, list(arguments), input=typed, catch_exceptions=False)

    def done(self, *arguments: str, typed: str | bytes = "") -> str:
        """What a command that succeeds prints; success says nothing on standard error."""
        result = self.run(*arguments, typed=typed)
        assert (result.exit_code, result.stderr) == (0, ""), result.output
        return result.stdout

    def refused(self, *arguments: str, exit_code: int = 1, typed: str | bytes = "") -> str:
        """The sentence of a command that fails: the last line, after click's usage when that was wrong.

        Whatever is refused has changed nothing.
        """
        before = self._stored()
        result = self.run(*arguments, typed=typed)
        assert result.exit_code == exit_code, result.output
        *usage, sentence = result.stderr.splitlines()
        assert sentence.startswith("Error: "), result.stderr
        assert not usage or (exit_code == 2 and usage[0].startswith("Usage: ")), result.stderr
        assert self._stored() == before
        return sentence.removeprefix("Error: ")

    def _stored(self) -> Any:
        return self._world.snapshot(), self._world.queued()


@pytest.fixture
def environment() -> Iterator[None]:
    """The command line points AWS clients at the stage by variables of its process; a test is not to keep them."""
    before, arguments = dict(os.environ), sys.argv
    yield
    os.environ.clear()
    os.environ.update(before)
    sys.argv = arguments


@pytest.fixture
def operator(world: World, configure: Configure, environment: None) -> Operator:
    configure(DEAD_LETTER_QUEUE_URL=world.queue_url.replace(QUEUE, DEAD_LETTER_QUEUE))
    return Operator(world)
