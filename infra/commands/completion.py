"""Completion of the commands in a shell."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a script that completes the commands in a shell.

    \b
    Examples:
      eval "$(strongroom completion bash)"
      strongroom completion fish > ~/.config/fish/completions/strongroom.fish
    """
    from click.shell_completion import get_completion_class

    context = click.get_current_context().find_root()
    found = get_completion_class(shell)
    assert found is not None
    click.echo(found(context.command, {}, "strongroom", "_STRONGROOM_COMPLETE").source())


COMMANDS = (completion,)
