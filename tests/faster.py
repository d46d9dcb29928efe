"""Takes from botocore and moto what they repeat for every client, request and answer. What they do is unchanged.

Most of the time of the tests is moto's: it lists the methods of a service for every request, parses the same few
expressions again and again, and looks for each possible member of an answer under six spellings.
"""

from __future__ import annotations

import abc
import copy
import functools
import os
import pickle
from typing import Any

import botocore.loaders
import botocore.session
import botocore.useragent
import moto.core.responses
from moto.core.base_backend import BaseBackend
from moto.core.serialize import AttributePickerContext, BaseJSONSerializer
from moto.dynamodb.comparisons import ConditionExpressionParser
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node  # type: ignore[attr-defined]
from moto.dynamodb.parsing.expressions import UpdateExpressionParser  # type: ignore[attr-defined]


def keep_clients() -> None:
    """One client for all who ask for the same service with the same settings and credentials: each costs some 30 ms."""
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


@functools.cache
def speed_up_moto() -> None:
    """For the whole process, however often it is asked for."""
    _remember(moto.core.responses, "method_names_from_class")
    _remember(botocore.useragent, "sanitize_user_agent_string_component")
    setattr(BaseBackend, "urls", property(functools.cache(BaseBackend.urls.fget)))  # type: ignore[attr-defined]  # noqa: B010
    # What is parsed is only read, or copied first.
    setattr(UpdateExpressionParser, "make", staticmethod(functools.cache(UpdateExpressionParser.make)))  # noqa: B010
    _check_kinds_plainly(Node)
    _copy_quickly()
    _remember_words()
    _remember_kinds_of_nodes()
    _pass_over_absent_members()


def _remember(place: Any, name: str) -> None:
    """Ask the function of this name once for each of its arguments."""
    setattr(place, name, functools.cache(getattr(place, name)))


class _Plain(abc.ABCMeta):
    """For abstract classes without adopted subclasses: those have their own, slow way to see what is an instance."""

    __instancecheck__ = type.__instancecheck__


def _check_kinds_plainly(kind: Any) -> None:
    kind.__class__ = _Plain
    for subclass in kind.__subclasses__():
        _check_kinds_plainly(subclass)


def _copy_quickly() -> None:
    """Moto copies the tables of a transaction to come back to them, and an expression to work on it."""

    def copy_table(table: Table, memo: dict[int, Any]) -> Any:
        made: Any = object.__new__(Table)  # type: ignore[type-abstract]
        memo[id(table)] = made
        # What describes a table is small and flat enough for one level, and mostly never changed.
        vars(made).update({name: copy.copy(value) for name, value in vars(table).items()})
        made.items = copy.deepcopy(table.items, memo)
        if table.stream_shard is not None:
            # What it has told stays with the table that told it.
            made.stream_shard = copy.copy(table.stream_shard)
            made.stream_shard.table, made.stream_shard.items = made, list(table.stream_shard.items)
        return made

    setattr(Table, "__deepcopy__", copy_table)  # noqa: B010
    setattr(Node, "__deepcopy__", lambda node, memo: pickle.loads(pickle.dumps(node)))  # noqa: B010


def _remember_words() -> None:
    """The words of a condition do not depend on what its placeholders stand for."""
    split = ConditionExpressionParser._lex_condition_expression
    known: dict[str | None, Any] = {}

    def lex(parser: ConditionExpressionParser) -> Any:
        text = parser.condition_expression
        if text not in known:
            known[text] = split(parser)
        return known[text].copy()

    setattr(ConditionExpressionParser, "_lex_condition_expression", lex)  # noqa: B010


def _remember_kinds_of_nodes() -> None:
    """Which nodes of an expression a traverser processes is the same for all traversers of a class."""
    ask = DepthFirstTraverser.nodes_to_be_processed
    known: dict[type, Any] = {}

    def nodes_to_be_processed(traverser: Any) -> Any:
        kind = type(traverser)
        if kind not in known:
            known[kind] = ask(traverser)
        return known[kind]

    setattr(DepthFirstTraverser, "nodes_to_be_processed", nodes_to_be_processed)  # noqa: B010


def _pass_over_absent_members() -> None:
    """A plain dictionary without any of the spellings of a member has no such member, whatever else would be tried."""
    serialize = BaseJSONSerializer._serialize_type_structure
    spellings: dict[Any, tuple[tuple[str, Any, frozenset[str]], ...]] = {}

    def serialize_structure(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if type(value) is not dict or shape.is_document_type or serializer._value_picker.response_transformers:
            serialize(serializer, serialized, value, shape, key)
            return
        if shape not in spellings:
            spellings[shape] = tuple(_spellings(serializer, shape))
        wrapper = serializer.MAP_TYPE() if key else serialized
        for name, member, spelled in spellings[shape]:
            if not spelled.isdisjoint(value):
                serializer._serialize_structure_member(wrapper, value, member, name)
        if key:
            serializer._default_serialize(serialized, wrapper, shape, key)

    setattr(BaseJSONSerializer, "_serialize_type_structure", serialize_structure)  # noqa: B010


def _spellings(serializer: Any, shape: Any) -> Any:
    for name, member in shape.members.items():
        member.parent = shape
        context = AttributePickerContext({}, name, member, serializer.operation_model, serializer.service_model)
        spelled = frozenset(serializer._value_picker.get_possible_keys(context))
        assert not any("." in spelling for spelling in spelled), f"{spelled}: a path, which is looked up otherwise"
        yield name, member, spelled
