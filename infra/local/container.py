"""The parts of docker-compose.yml that run our code: `python -m infra.local.container deploy|api|consumer`.

Each finds AWS by the standard variables (AWS_ENDPOINT_URL), and what the stack is called by the stack's own outputs.
"""

from __future__ import annotations

import os
import sys

import boto3

from infra.deployment import deploy_stack, stack_outputs
from infra.environment import stack_variables
from infra.stages import stack_name_of
from infra.template import data_plane

STAGE = "local"


def deploy() -> None:
    """The tables, buckets and queues, the migrations, and Acme Corp with its user. Repeatable."""
    from infra.commands.data import migrate, seed_data

    deploy_stack(
        boto3.client("cloudformation"),
        stack_name_of(STAGE),
        data_plane(STAGE),
        {"Stage": STAGE, "CacheUrl": os.environ["CACHE_URL"], "RequireTls": "false"},
    )
    for command in (migrate, seed_data):
        command.main(["--stage", STAGE], standalone_mode=False)


def read_stack() -> None:
    """Set the functions' variables that the stack knows."""
    outputs = stack_outputs(boto3.client("cloudformation"), stack_name_of(STAGE))
    os.environ.update(stack_variables(STAGE, outputs))


def api() -> None:
    read_stack()
    from infra.local import api as server

    # In a container it has to be every address; what leads here from outside is only what the compose file publishes.
    server.serve(os.environ.get("API_HOST", "127.0.0.1"), int(os.environ.get("API_PORT", "8000")))


def consumer() -> None:
    read_stack()
    from infra.local import consumer as poller

    poller.main()


PARTS = {"deploy": deploy, "api": api, "consumer": consumer}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in PARTS:
        sys.exit(f"usage: python -m infra.local.container {'|'.join(PARTS)}")
    PARTS[sys.argv[1]]()
