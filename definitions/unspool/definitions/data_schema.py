"""JSON Schemas of authors over the data of executions (dsl-reference.md, "Schema"; inventory F6, F7).

The draft is that of `$schema`, 2020-12 without it. Patterns run in linear time: look-around and
back-references are refused. Nothing is ever fetched. `format` is an annotation, as draft 2020-12 has it by
default, in all drafts.
"""

from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final

import jsonschema_rs

from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json
from unspool.definitions.nesting import is_deeper
from unspool.definitions.schema_cost import MAX_DEPTH, SchemaGraph, Unbounded

MAX_REPORTED: Final = 20
"""Problems of one value."""
MAX_MESSAGE: Final = 300
"""Characters of one problem."""

_MASK: Final = "the value"
"""Stands for data in messages: they end up in events and logs."""

_compiled = partial(
    jsonschema_rs.validator_for,
    validate_formats=False,
    offline=True,
    mask=_MASK,
    pattern_options=jsonschema_rs.RegexOptions(size_limit=1024 * 1024, dfa_size_limit=1024 * 1024),
)


class BadSchema(ValueError):
    """A schema that is none, refers to something outside of itself, or is too much work."""


@dataclass(frozen=True, slots=True)
class DataSchema:
    """A compiled schema."""

    _validator: jsonschema_rs.Validator = field(repr=False)
    _graph: SchemaGraph = field(repr=False, compare=False)

    @classmethod
    def compile(cls, document: Json) -> "DataSchema":
        """Compiles a schema as it stands in a definition.

        Raises:
            BadSchema: it cannot be used; says why.
        """
        if not isinstance(document, dict | bool):
            raise BadSchema("a JSON Schema is a mapping, true or false")
        try:
            return cls(_compiled(document), SchemaGraph(document if isinstance(document, dict) else {}))
        except Unbounded as error:
            raise BadSchema(str(error)) from error
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise BadSchema(f"not a JSON Schema: {_described(error)}") from error

    def problems(self, value: Json) -> list[str]:
        """What is wrong with a value, each as `at /pointer: message`; empty if it is valid.

        The messages do not show the data.
        """
        if is_deeper(value, MAX_DEPTH):
            return [f"at /: nested more than {MAX_DEPTH} levels deep"]
        if self._validator.is_valid(value):
            return []
        if is_deeper(value, self._graph.levels_explained()):
            return ["at /: does not match the schema, and is nested too deeply to say where"]
        return [_described(error) for error in islice(self._validator.iter_errors(value), MAX_REPORTED)]


def _described(error: Exception) -> str:
    if not isinstance(error, jsonschema_rs.ValidationError):
        return str(error)[:MAX_MESSAGE]
    place = child("", *error.instance_path) or "/"
    if error.message.endswith('is not a "regex"'):
        return (
            f"at {place}: not a pattern, or one with look-around or a back-reference, which are not supported"
        )
    return f"at {place}: {error.message}"[:MAX_MESSAGE]
