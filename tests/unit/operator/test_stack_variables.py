"""The outputs of a stack become the functions' variables."""

from __future__ import annotations

from dataclasses import fields

from chalicelib.kernel.config import Settings
from infra.environment import stack_variables
from infra.template import data_plane


def test_stack_has_every_output_that_the_variables_need() -> None:
    outputs = {name: f"value of {name}" for name in data_plane("local")["Outputs"]}
    variables = stack_variables("local", outputs)
    assert variables["STAGE"] == "local"
    assert set(variables) <= {field.name.upper() for field in fields(Settings)}
    assert variables["UPLOADS_QUEUE_URL"] == "value of UploadsQueueUrl"
