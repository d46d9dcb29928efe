"""The operator's command line: `strongroom --help`, or `python -m infra --help` without the installed command."""

from __future__ import annotations

import sys

import click

from infra import APPLICATION, VERSION
from infra.commands import (
    accounts,
    audit,
    completion,
    data,
    deployments,
    invitations,
    keys,
    listen,
    operations,
    organizations,
    recovery,
)
from infra.environment import NotReachable, explain


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name=APPLICATION)
def cli() -> None:
    """Operate a deployment of Strongroom.

    Works on the stage named by --stage (or the variable STAGE; local if neither is given), with the AWS account, region
    and endpoint of the environment. The stage local is the emulator of 'make up' on this machine, at AWS_PORT (4566).

    \b
    Examples:
      strongroom status
      strongroom organizations list --stage prod
    """


GROUPS = (
    organizations,
    accounts,
    invitations,
    keys,
    audit,
    listen,
    deployments,
    data,
    operations,
    recovery,
    completion,
)
for command in (command for group in GROUPS for command in group.COMMANDS):
    cli.add_command(command)


def main() -> None:
    """Turn what an operator can do something about into one sentence and exit code 1; usage errors are 2."""
    from chalicelib.kernel.config import ConfigurationError
    from chalicelib.kernel.errors import StrongroomError, VersionConflict
    from infra.deployment import DeploymentError
    from infra.migrations.ledger import MigrationError
    from infra.operator_events import act_as_operator

    expected = (StrongroomError, VersionConflict, NotReachable, MigrationError, DeploymentError, ConfigurationError)
    act_as_operator()
    try:
        cli(prog_name=APPLICATION, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        click.echo("Aborted.", err=True)
        sys.exit(130)
    except expected as error:
        click.echo(f"Error: {error or 'someone else is changing the same thing; try again.'}", err=True)
        sys.exit(1)
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        click.echo(f"Error: {sentence}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
