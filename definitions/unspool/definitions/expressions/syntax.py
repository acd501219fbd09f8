"""The syntax tree of the jq subset that compiles to closures."""

from dataclasses import dataclass
from typing import Final

from unspool.definitions.json_value import Json

ASSIGNMENTS: Final = frozenset({"=", "|=", "+=", "-=", "*=", "/=", "%=", "//="})
"""Operators whose left side is a path expression."""


@dataclass(frozen=True, slots=True)
class Identity:
    """`.`."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant. `exact` is false if it is a number that jq would write as the source does, such as 1.10."""

    value: Json
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Variable:
    """`$name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Index:
    """`.key`, `[expression]`."""

    key: "Node"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Slice:
    """`[start:end]`."""

    start: "Node | None"
    end: "Node | None"
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Iterate:
    """`[]`."""

    optional: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """Steps from a base. An `optional` step that fails has no output instead."""

    base: "Node"
    steps: tuple[Index | Slice | Iterate, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """`[body]`."""

    body: "Node | None"


@dataclass(frozen=True, slots=True)
class Object:
    """`{key: value, …}`."""

    entries: tuple[tuple["Node", "Node"], ...]


@dataclass(frozen=True, slots=True)
class Text:
    r"""A string with interpolations, each written in a format (`@json "…\(…)"`)."""

    format: str
    parts: tuple["str | Node", ...]


@dataclass(frozen=True, slots=True)
class Pipe:
    """`a | b | …`."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Comma:
    """`a, b, …`."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Binary:
    """An operator between two expressions, also `and`, `or`, `//` and the assignments."""

    operator: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Negate:
    """`-body`."""

    body: "Node"


@dataclass(frozen=True, slots=True)
class If:
    """`if … then … elif … then … else … end`; without `else`, the input."""

    branches: tuple[tuple["Node", "Node"], ...]
    otherwise: "Node"


@dataclass(frozen=True, slots=True)
class Bind:
    """`source as $name | body`."""

    source: "Node"
    name: str
    body: "Node"


@dataclass(frozen=True, slots=True)
class Optional:
    """`body?`: outputs up to the first error."""

    body: "Node"


@dataclass(frozen=True, slots=True)
class Attempt:
    """`try body catch handler`, where the handler does not read the error."""

    body: "Node"
    handler: "Node"


@dataclass(frozen=True, slots=True)
class Reduce:
    """`reduce source as $name (start; update)`."""

    source: "Node"
    name: str
    start: "Node"
    update: "Node"


@dataclass(frozen=True, slots=True)
class Foreach:
    """`foreach source as $name (start; update; extract)`."""

    source: "Node"
    name: str
    start: "Node"
    update: "Node"
    extract: "Node"


@dataclass(frozen=True, slots=True)
class Label:
    """`label $name | body`. Labels are named `*name`, as they share no names with variables."""

    name: str
    body: "Node"


@dataclass(frozen=True, slots=True)
class Break:
    """`break $name`: ends the body of the label."""

    name: str


@dataclass(frozen=True, slots=True)
class Define:
    """`def name(parameters): body; rest`; a parameter is `name` or `$name`."""

    name: str
    parameters: tuple[str, ...]
    body: "Node"
    rest: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    """A builtin, or with a name that starts with `@`, a format."""

    name: str
    arguments: tuple["Node", ...]


Node = (
    Identity | Literal | Variable | Path | Array | Object | Text | Pipe | Comma | Binary | Negate | If | Bind
    | Optional | Attempt | Reduce | Foreach | Label | Break | Define | Call
)  # fmt: skip


def children(node: Node) -> tuple[Node, ...]:  # noqa: C901, PLR0911, PLR0912 -- one case per kind
    """Returns the expressions directly inside a node."""
    match node:
        case Path(base, steps):
            return (base, *(inner for step in steps for inner in _operands(step)))
        case Array(body):
            return () if body is None else (body,)
        case Object(entries):
            return tuple(inner for entry in entries for inner in entry)
        case Text(_, parts):
            return tuple(part for part in parts if not isinstance(part, str))
        case Pipe(parts) | Comma(parts):
            return parts
        case Binary(_, left, right):
            return left, right
        case If(branches, otherwise):
            return (*(inner for branch in branches for inner in branch), otherwise)
        case Bind(source, _, body):
            return source, body
        case Negate(body) | Optional(body) | Label(_, body):
            return (body,)
        case Attempt(body, handler):
            return body, handler
        case Reduce(source, _, start, update):
            return source, start, update
        case Foreach(source, _, start, update, extract):
            return source, start, update, extract
        case Define(_, _, body, rest):
            return body, rest
        case Call(_, arguments):
            return arguments
        case Identity() | Literal() | Variable() | Break():
            return ()


def _operands(step: Index | Slice | Iterate) -> tuple[Node, ...]:
    match step:
        case Index(key):
            return (key,)
        case Slice(start, end):
            return tuple(bound for bound in (start, end) if bound is not None)
        case Iterate():
            return ()
