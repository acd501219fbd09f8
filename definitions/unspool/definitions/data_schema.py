"""Checks the data of executions with JSON Schemas of authors (dsl-reference.md, "Schema"; inventory F6, F7).

`$schema` names the draft; the default is 2020-12. Patterns run in linear time: look-around and
back-references are refused. Nothing is fetched. `format` is an annotation in all drafts, as it is by default
in draft 2020-12.
"""

from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final

import jsonschema_rs

from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json
from unspool.definitions.nesting import is_deeper
from unspool.definitions.schema_cost import MAX_DEPTH, SchemaGraph, SchemaRejected

MAX_REPORTED: Final = 20
"""Problems that are listed for one value."""
MAX_MESSAGE: Final = 300
"""Characters of one listed problem."""

_MASK: Final = "the value"
"""Replaces data in messages, because messages are written to events and logs."""

_compiled = partial(
    jsonschema_rs.validator_for,
    validate_formats=False,
    offline=True,
    mask=_MASK,
    pattern_options=jsonschema_rs.RegexOptions(size_limit=1024 * 1024, dfa_size_limit=1024 * 1024),
)


class BadSchema(ValueError):
    """The schema is not valid, refers to something outside of itself, or costs too much work."""


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """A place of a value that does not match a schema. As text: `at /pointer: message`, shortened."""

    pointer: str
    """JSON pointer; empty for the whole value."""
    message: str
    """At most `MAX_MESSAGE` characters, which do not show the data."""

    def __str__(self) -> str:
        return f"at {self.pointer or '/'}: {self.message}"[:MAX_MESSAGE]


@dataclass(frozen=True, slots=True)
class DataSchema:
    """A compiled schema."""

    _validator: jsonschema_rs.Validator = field(repr=False)
    _graph: SchemaGraph = field(repr=False, compare=False)

    @classmethod
    def compile(cls, document: Json) -> "DataSchema":
        """Compiles a schema of a definition.

        Raises:
            BadSchema: the schema cannot be used.
        """
        if not isinstance(document, dict | bool):
            raise BadSchema("a JSON Schema is a mapping, true or false")
        try:
            graph = SchemaGraph(document if isinstance(document, dict) else {})  # first: it knows the limits
            return cls(_compiled(document), graph)
        except SchemaRejected as error:
            raise BadSchema(str(error)) from error
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            raise BadSchema(f"not a JSON Schema: {_described(error)}") from error

    def problems(self, value: Json) -> list[SchemaProblem]:
        """Returns the problems of a value, at most `MAX_REPORTED`."""
        if is_deeper(value, MAX_DEPTH):
            return [SchemaProblem("", f"nested more than {MAX_DEPTH} levels deep")]
        if self._validator.is_valid(value):
            return []
        if is_deeper(value, self._graph.levels_reported()):
            return [SchemaProblem("", "does not match the schema, and is nested too deeply to say where")]
        return [_problem(error) for error in islice(self._validator.iter_errors(value), MAX_REPORTED)]


def _described(error: Exception) -> str:
    if isinstance(error, jsonschema_rs.ValidationError):
        return str(_problem(error))
    return str(error)[:MAX_MESSAGE]


def _problem(error: jsonschema_rs.ValidationError) -> SchemaProblem:
    message = error.message
    if message.endswith('is not a "regex"'):
        message = "not a pattern, or one with look-around or a back-reference, which are not supported"
    return SchemaProblem(child("", *error.instance_path), message[:MAX_MESSAGE])
