"""Takes from botocore and moto the work that they repeat for every client and every answer. What they do is unchanged.

Each client of AWS costs some 30 ms to make, and a test that starts the application anew makes a dozen. Moto looks for
each member of an answer under six spellings, thousands of times for the same few shapes.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import botocore.loaders
import botocore.session
from moto.core.serialize import AttributePickerContext, XFormedAttributePicker


def keep_clients() -> None:
    """One client for all who ask for the same service with the same settings and credentials."""
    # Each PynamoDB connection makes a session of its own, which reads all of AWS's descriptions anew.
    botocore.loaders.create_loader = functools.cache(botocore.loaders.create_loader)
    make: Any = botocore.session.Session.create_client
    made: dict[Any, Any] = {}

    @functools.wraps(make)
    def create_client(session: Any, service_name: str, *args: Any, config: Any = None, **options: Any) -> Any:
        identity = (
            service_name,
            repr(args),
            repr(sorted(options.items(), key=str)),
            repr(sorted(vars(config).items(), key=str)) if config is not None else None,
            repr(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_"))),
        )
        if identity not in made:
            made[identity] = make(session, service_name, *args, config=config, **options)
        return made[identity]

    setattr(botocore.session.Session, "create_client", create_client)  # noqa: B010


def remember_spellings() -> None:
    """The spellings of a member depend on its shape only, as long as the value is a plain dictionary."""
    spell = XFormedAttributePicker.get_possible_keys
    known: dict[Any, tuple[str, ...]] = {}

    def get_possible_keys(picker: XFormedAttributePicker, context: AttributePickerContext) -> Any:
        if type(context.obj) is not dict or context.service_model is None:
            return spell(picker, context)
        shape = context.shape
        parent = getattr(shape, "parent", None)
        identity = (
            *(context.service_model.service_name, context.key, shape.name, shape.type_name),
            *(shape.serialization.get("name"), parent.name if parent else None),
        )
        if identity not in known:
            known[identity] = tuple(spell(picker, context))
        return known[identity]

    setattr(XFormedAttributePicker, "get_possible_keys", get_possible_keys)  # noqa: B010
