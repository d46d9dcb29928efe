"""The API and the consumer over a machine of their own, to be killed and started again."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

from infra.local.processes import HOST, Child, answers, free_port
from infra.local.up import ROOT
from tests.following import quick_consumer
from tests.integration.conftest import Machine, await_condition, start_part


@dataclass
class Stack:
    machine: Machine
    port: int = field(default_factory=free_port)
    children: dict[str, Child] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start_api(self) -> None:
        environment = {**self.machine.environment, "API_PORT": str(self.port), **self.machine.parts["api"].variables()}
        self.children["api"] = start_part("api", environment, self.machine.output)
        await_condition(lambda: answers(self.port), "the API listening")

    def start_consumer(self) -> None:
        rights = self.machine.parts["consumer"].variables()
        checkpoints = {"STREAM_CHECKPOINTS": str(self.machine.folder / "checkpoints.json")}
        environment = {**self.machine.environment, **quick_consumer.ENVIRONMENT, **checkpoints, **rights}
        command = [sys.executable, "-m", quick_consumer.__name__]
        self.children["consumer"] = Child("consumer", command, environment, ROOT, self.machine.output.take)

    def kill(self, name: str) -> None:
        """:raises AssertionError: it has ended by itself before."""
        code = self.children[name].exit_code
        assert code is None, f"{name} has ended by itself with {code}\n{self.machine.output.text()[-4000:]}"
        self.children[name].kill()

    def stop(self) -> None:
        for child in self.children.values():
            child.stop()
