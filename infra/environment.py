"""Where an operator's command works: the settings of one deployed stage, from its environment or from its stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError, NoRegionError

from chalicelib.platform.aws import error_code
from infra.local import emulator
from infra.local.keys import FILE_NAME, OPERATOR, KeyFile

if TYPE_CHECKING:
    from chalicelib.wiring import Stores

LOCAL_STAGE = "local"
DEFAULT_AWS_PORT = 4566
DEFAULT_API_PORT = 8000
#: As in the Makefile.
DEFAULT_STATE_DIR = ".local"

#: Variable of the functions -> output of the stack that holds its value.
_OUTPUTS = {
    "TABLE_PREFIX": "TablePrefix",
    "TEMP_BUCKET": "TempBucket",
    "PERMANENT_BUCKET": "PermanentBucket",
    "AUDIT_BUCKET": "AuditBucket",
    "UPLOADS_QUEUE_URL": "UploadsQueueUrl",
    "DEAD_LETTER_QUEUE_URL": "DeadLetterQueueUrl",
    "WEBHOOKS_QUEUE_URL": "WebhooksQueueUrl",
    "WEBHOOKS_DEAD_LETTER_QUEUE_URL": "WebhooksDeadLetterQueueUrl",
}


class NotReachable(Exception):
    """The stage can't be worked on; the sentence says why and what to do."""


def stack_variables(stage: str, outputs: Mapping[str, str]) -> dict[str, str]:
    """The functions' variables that say where a stack's tables, buckets and queues are.

    :param outputs: of the stack, by name.
    """
    return {"STAGE": stage} | {variable: outputs[output] for variable, output in _OUTPUTS.items()}


def stage_environment(stage: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The functions' variables of this stage. What the environment sets already is taken as it is.

    :raises NotReachable: there is no such stack, or AWS (or the emulator) does not answer.
    """
    point_clients(stage)
    found = dict(os.environ if environ is None else environ)
    if not found.get("TABLE_PREFIX"):
        found |= stack_variables(stage, _outputs(stage))
    if _has_own_endpoint(found):
        found.setdefault("S3_ADDRESSING_STYLE", "path")
    # Operators have no use for the rate counters, and no way into the cache's network.
    found.pop("CACHE_URL", None)
    found.setdefault("LOG_FORMAT", "text")
    return found


def point_clients(stage: str) -> None:
    """Let every AWS client of this process find the stage, by the standard variables.

    The stage of `make up` is on this machine's emulator unless the environment names another endpoint: a laptop's stage
    must never turn up in a real account because a variable was forgotten. The operator's key is in the folder that
    `make up` keeps its state in (STATE_DIR).

    :raises NotReachable: there is no key in that folder.
    """
    if stage == LOCAL_STAGE and not os.environ.get("AWS_ENDPOINT_URL"):
        folder = Path(os.environ.get("STATE_DIR") or DEFAULT_STATE_DIR).resolve() / "aws"
        key = KeyFile(folder).read(OPERATOR)
        if key is None:
            raise NotReachable(
                f"There is no {folder / FILE_NAME}. Start the stack: make up. If it runs on another folder, name that "
                "in STATE_DIR."
            )
        os.environ.update(emulator.client_environment(int(os.environ.get("AWS_PORT") or DEFAULT_AWS_PORT), key))
    # boto3 reads AWS_DEFAULT_REGION only; AWS's other tools, and Lambda, also set AWS_REGION.
    if os.environ.get("AWS_REGION"):
        os.environ.setdefault("AWS_DEFAULT_REGION", os.environ["AWS_REGION"])


def open_stores(stage: str) -> Stores:
    """The application's own stores, on this stage.

    :raises NotReachable: as :func:`stage_environment`.
    """
    from chalicelib.kernel.config import load
    from chalicelib.wiring import Stores

    return Stores(load(stage_environment(stage)))


def api_address(stage: str) -> str | None:
    """Where the API of this stage answers; None where that is not known, as without a stack.

    The variable BASE_URL names another address, such as that of a domain.
    """
    if os.environ.get("BASE_URL"):
        return os.environ["BASE_URL"]
    if os.environ.get("TABLE_PREFIX"):
        # The environment says where the tables are, so there need not be a stack.
        return None
    if stage == LOCAL_STAGE:
        return f"http://127.0.0.1:{os.environ.get('API_PORT') or DEFAULT_API_PORT}"
    import boto3

    from infra.stages import api_url

    try:
        return api_url(boto3.Session(), _outputs(stage))
    except NotReachable:
        return None


def explain(error: Exception) -> str | None:
    """A sentence for an error that says only that AWS is out of reach or refuses us; None for any other error."""
    cause: BaseException | None = getattr(error, "cause", None) or error
    if isinstance(cause, ClientError):
        code = error_code(cause)
        if code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"):
            return f"These credentials may not do that: {cause.response['Error'].get('Message', code)}"
        if code in ("ExpiredToken", "InvalidClientTokenId", "UnrecognizedClientException", "ExpiredTokenException"):
            return "AWS does not accept these credentials. Sign in again, or choose another AWS_PROFILE."
        if code in ("ResourceNotFoundException", "AWS.SimpleQueueService.NonExistentQueue", "NoSuchBucket"):
            return (
                "A table, queue or bucket of this stage is missing. Deploy the stack first: make deploy, or make up on "
                "a laptop."
            )
        return None
    if isinstance(cause, BotoCoreError):
        where = os.environ.get("AWS_ENDPOINT_URL")
        target = f"the endpoint {where}" if where else "AWS"
        hint = " Is it running? Try: make up" if where else " Are AWS_REGION and credentials set?"
        return f"Can't reach {target}: {cause}.{hint}"
    return None


def _outputs(stage: str) -> dict[str, str]:
    import boto3

    from infra.deployment import find_stack, stack_outputs
    from infra.stages import stack_name_of

    name = stack_name_of(stage)
    try:
        client: Any = boto3.client("cloudformation")
        if find_stack(client, name) is not None:
            return stack_outputs(client, name)
    except NoRegionError:
        raise NotReachable("No region is set. Set AWS_REGION, and AWS_ENDPOINT_URL for an emulator.") from None
    hint = ", or run it on this machine: make up" if stage == "local" else ""
    raise NotReachable(
        f"There is no stack {name} in this account and region. Deploy it: make deploy STAGE={stage}{hint}"
    )


def _has_own_endpoint(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL"))
