"""What all commands have in common: JSON, the stage, a question before what can't be undone, and completion."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest
from click.shell_completion import BashComplete

from infra import APPLICATION
from infra.__main__ import cli
from tests.unit.operator.conftest import Operator

#: Their output is a program's already, or goes on for ever.
WITHOUT_JSON = {"completion", "listen"}
WITHOUT_STAGE = {"completion", "listen", "audit verify-export"}
#: What takes something away, or goes back to what was, for good.
ASKING = {
    "deploy",
    "rollback",
    "destroy",
    "restore",
    "backup",
    "users delete",
    "organizations delete",
}


def commands(group: click.Group = cli, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")
        else:
            yield before + name, command


COMMANDS = dict(commands())


def options(name: str) -> set[str]:
    return {option for parameter in COMMANDS[name].params for option in parameter.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_says_what_it_does_and_works_on_a_stage_and_in_json(name: str) -> None:
    assert COMMANDS[name].help
    assert ("--json" in options(name)) == (name not in WITHOUT_JSON)
    assert ("--stage" in options(name)) == (name not in WITHOUT_STAGE)


def test_what_cannot_be_undone_asks_and_can_be_told_not_to() -> None:
    assert {name for name in COMMANDS if "--yes" in options(name)} == ASKING
    assert ASKING - {name for name in COMMANDS if "--dry-run" in options(name)} <= {"backup", "users delete"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_for_the_installed_name(operator: Operator, shell: str) -> None:
    script = operator.done("completion", shell)
    assert f"_STRONGROOM_COMPLETE={shell}_complete" in script
    assert APPLICATION in script


def test_completion_knows_commands_and_options() -> None:
    complete = BashComplete(cli, {}, APPLICATION, "_STRONGROOM_COMPLETE")
    assert [one.value for one in complete.get_completions([], "organ")] == ["organizations"]
    assert "set-quota" in {one.value for one in complete.get_completions(["organizations"], "set-")}
    assert "--dry-run" in {one.value for one in complete.get_completions(["restore"], "--")}
