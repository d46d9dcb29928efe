"""What CloudFormation makes of our template: the SAM transform by the translator that AWS publishes.

It is in the emulator's environment only, so it runs in a process of that.
"""

from __future__ import annotations

import json
import subprocess

from infra.packaging import ROOT
from infra.template import Template

_PROGRAM = """
import json, sys
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
policies = {"AWSLambdaBasicExecutionRole": "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}
print(json.dumps(Translator(policies, Parser()).translate(json.load(sys.stdin), {})))
"""


def transformed(template: Template) -> Template:
    """The template without SAM's types."""
    done = subprocess.run(
        [ROOT / ".venv-emulator" / "bin" / "python", "-c", _PROGRAM],
        input=json.dumps(template),
        env={"AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=True,
    )
    made: Template = json.loads(done.stdout)
    return made
