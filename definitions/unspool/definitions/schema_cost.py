"""Estimates the work of a JSON Schema, because a schema of an author must not block a worker.

Validators try every alternative. `allOf: [a, a]` over `allOf: [b, b]` and so on doubles the work with each
level, and a recursive schema of this form doubles it with each level of the *data*. The work is estimated
from the schema alone. It is the number of schemas that are applied along the most expensive path into a
value. The validator caches the results of recursive references when it checks whether data is valid, but not
when it lists the errors. So only the list of errors has a limit of depth.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final
from urllib.parse import unquote

from unspool.definitions.json_pointer import value_at

MAX_WORK: Final = 10_000
"""Schemas applied along one path."""
MAX_DEPTH: Final = 200
"""Levels of data that are checked with any schema."""
MAX_SCHEMAS: Final = 2_000
"""Subschemas of a schema."""
_MAX_ESTIMATES: Final = 50_000
"""The number of schemas times the levels of data for which the work is estimated."""

_IN_PLACE: Final = ("not", "if", "then", "else", "allOf", "anyOf", "oneOf")
_IN_PLACE_BY_NAME: Final = ("dependentSchemas", "dependencies")
_INTO_ANY: Final = (
    "items",
    "prefixItems",
    "additionalItems",
    "contains",
    "additionalProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_REFERENCES: Final = ("$ref", "$dynamicRef", "$recursiveRef")
_DATA: Final = frozenset({"const", "default", "enum", "examples"})
_BY_NAME: Final = frozenset({"properties", "patternProperties", "$defs", "definitions", *_IN_PLACE_BY_NAME})
_ANY: Final = "*"
"""The step into any member. The steps of named properties have the prefix `/`."""

Schema = dict[str, Any]


class SchemaRejected(ValueError):
    """The schema can need too much work, or refers to something outside of itself."""


@dataclass(slots=True)
class SchemaGraph:
    """The subschemas of a schema, by `id()`, and which of them apply others.

    Raises:
        SchemaRejected: to check whether data is valid is too much work, or a reference leads outside or in a
            circle.
    """

    root: Schema
    in_place: dict[int, list[int]] = field(default_factory=dict)
    """The subschemas that it applies to the same value."""
    into: dict[int, list[tuple[str, int]]] = field(default_factory=dict)
    """The subschemas that it applies to members of the value, with the step into the member."""
    order: list[int] = field(default_factory=list)
    order_in_place: list[int] = field(default_factory=list)
    is_recursive: bool = False
    _anchors: dict[str, Schema] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._collect_anchors()
        waiting = [self.root]
        while waiting:
            schema = waiting.pop()
            if id(schema) not in self.in_place:
                waiting += self._add(schema)
        self.order_in_place, circular = _children_first(self.in_place)
        if circular:
            raise SchemaRejected("the schema refers to itself in a circle")
        both = {
            node: [*here, *(below for _, below in self.into[node])] for node, here in self.in_place.items()
        }
        self.order, self.is_recursive = _children_first(both)
        if self._work(None)[id(self.root)] > MAX_WORK:
            raise SchemaRejected("the schema is too much work to check: its alternatives multiply")

    def levels_reported(self) -> int:
        """Returns how many levels of data a value may have so that its errors are listed."""
        if not self.is_recursive:
            return MAX_DEPTH
        levels = min(MAX_DEPTH, _MAX_ESTIMATES // len(self.order))
        work: dict[int, int] = {}
        for depth in range(levels + 1):
            work = self._work(work)
            if work[id(self.root)] > MAX_WORK:
                return depth - 1
        return levels

    def _add(self, schema: Schema) -> list[Schema]:
        if len(self.in_place) >= MAX_SCHEMAS:
            raise SchemaRejected(f"the schema consists of more than {MAX_SCHEMAS} schemas")
        self._check_id(schema)  # a reference may lead into data
        here = [*_members(schema, _IN_PLACE), *_values(schema, _IN_PLACE_BY_NAME), *self._referred(schema)]
        below = [*_steps(schema)]
        self.in_place[id(schema)] = [id(other) for other in here]
        self.into[id(schema)] = [(step, id(other)) for step, other in below]
        return here + [other for _, other in below]

    def _referred(self, schema: Schema) -> Iterator[Schema]:
        for keyword in _REFERENCES:
            reference = schema.get(keyword)
            if isinstance(reference, str):
                target = self._resolve(reference)
                if isinstance(target, dict):
                    yield target

    def _resolve(self, reference: str) -> Any:
        if not reference.startswith("#"):
            raise SchemaRejected(f"the reference '{reference[:80]}' leads outside the schema")
        if reference[1:] in self._anchors:
            return self._anchors[reference[1:]]
        try:
            return value_at(self.root, unquote(reference[1:]))
        except LookupError:
            raise SchemaRejected(f"the reference '{reference[:80]}' leads nowhere") from None

    def _collect_anchors(self) -> None:
        waiting: list[Any] = [self.root]
        while waiting:
            value = waiting.pop()
            if isinstance(value, dict):
                self._add_anchor(value)
                waiting += _within(value)
            elif isinstance(value, list):
                waiting += value

    def _add_anchor(self, schema: Schema) -> None:
        for keyword in ("$anchor", "$dynamicAnchor", "$id", "id"):
            name = schema.get(keyword)
            if not isinstance(name, str):
                continue
            if keyword in {"$anchor", "$dynamicAnchor"}:
                self._anchors[name] = schema
            elif name.startswith("#"):  # the form of anchors up to draft 7
                self._anchors[name[1:]] = schema
            else:
                self._check_id(schema)

    def _check_id(self, schema: Schema) -> None:
        id_ = schema.get("$id")
        if isinstance(id_, str) and not id_.startswith("#") and schema is not self.root:
            raise SchemaRejected(f"a schema within the schema has an '$id' of its own, '{id_[:80]}'")

    def _work(self, below: dict[int, int] | None) -> dict[int, int]:
        """Returns the work along the most expensive path from each schema.

        Args:
            below: the work one level deeper in the data; None follows recursion only once.
        """
        here: dict[int, int] = {}
        down: dict[int, dict[str, int]] = {}
        total: dict[int, int] = {}
        for node in self.order if below is None else self.order_in_place:
            others = [other for other in self.in_place[node] if other in here]
            steps: defaultdict[str, int] = defaultdict(int)
            for step, target in self.into[node]:
                steps[step] += (total if below is None else below).get(target, 0)
            for step, amount in chain.from_iterable(down[other].items() for other in others):
                steps[step] += amount
            here[node] = _bounded(1 + sum(here[other] for other in others))
            down[node] = {step: _bounded(amount) for step, amount in steps.items()}
            named = max((amount for step, amount in steps.items() if step != _ANY), default=0)
            total[node] = _bounded(here[node] + named + steps.get(_ANY, 0))
        return total


def _bounded(amount: int) -> int:
    return min(amount, MAX_WORK + 1)


def _children_first(edges: dict[int, list[int]]) -> tuple[list[int], bool]:
    """Returns the nodes of a graph in postorder, and whether it has a circle."""
    order: list[int] = []
    done: dict[int, bool] = {}
    circular = False
    for start, first in edges.items():
        stack = [] if start in done else [(start, iter(first))]
        done.setdefault(start, False)
        while stack:
            node, others = stack[-1]
            following = next(others, None)
            if following is None:
                done[node] = True
                order.append(node)
                stack.pop()
            elif following not in done:
                done[following] = False
                stack.append((following, iter(edges[following])))
            elif not done[following]:
                circular = True
    return order, circular


def _within(schema: Schema) -> Iterator[Any]:
    """Yields the values in a schema that can be schemas or have some; those of unknown keywords, too."""
    for keyword, value in schema.items():
        if keyword in _BY_NAME and isinstance(value, dict):
            yield from value.values()
        elif keyword not in _DATA:
            yield value


def _members(schema: Schema, keywords: tuple[str, ...]) -> Iterator[Schema]:
    """Yields the schemas that are the value of a keyword or items of it."""
    for keyword in keywords:
        value = schema.get(keyword)
        yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict))


def _values(schema: Schema, keywords: tuple[str, ...]) -> Iterator[Schema]:
    """Yields the schemas that are members of the value of a keyword."""
    for keyword in keywords:
        value = schema.get(keyword)
        if isinstance(value, dict):
            yield from (one for one in value.values() if isinstance(one, dict))


def _steps(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Yields the schemas that apply to members of the value, with the steps."""
    properties = schema.get("properties")
    if isinstance(properties, dict):
        yield from ((f"/{name}", one) for name, one in properties.items() if isinstance(one, dict))
    yield from ((_ANY, one) for one in _members(schema, _INTO_ANY))
    yield from ((_ANY, one) for one in _values(schema, ("patternProperties",)))
