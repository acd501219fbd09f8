"""`@function`: gives a Python function a name by which workflows call it."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}")
"""A name, as a call can have it (`unspool.definitions.function_name`)."""

VERSION: Final = re.compile(
    r"(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})"
    r"(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?"
)
"""Semantic Versioning 2.0.0."""

QUEUE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+:-]{0,199}")

RESERVED: Final = frozenset({"a2a", "asyncapi", "grpc", "http", "mcp", "openapi"})
"""Names of calls of the DSL."""

_ATTRIBUTE: Final = "__unspool_function__"


@dataclass(frozen=True, slots=True)
class Declaration:
    """The arguments of `@function`."""

    name: str
    version: str
    queue: str | None


def function(
    name: str, *, version: str = "1.0.0", queue: str | None = None
) -> Callable[[FunctionT], FunctionT]:
    """Declares that workflows can call a function by a name. The function itself does not change.

    Args:
        name: as in `call: NAME`; letters, digits and _ . + -
        version: its semantic version. A call without a version uses the highest one.
        queue: for functions that need special machines: only executors with `--queue QUEUE` run them.

    Raises:
        ValueError: an argument is not valid.
        TypeError: the decorator has no name, or the function was declared before.
    """
    if not isinstance(name, str):
        raise TypeError('write @function("name"): the name by which workflows call the function is missing')
    if not NAME.fullmatch(name):
        raise ValueError(f"the name of a function has letters, digits and _ . + -, at most 100; not {name!r}")
    if name in RESERVED:
        raise ValueError(f"a function cannot have the name {name!r}: it is a call of the DSL")
    if not VERSION.fullmatch(version):
        raise ValueError(f"the version of {name!r} must be a semantic version such as 1.2.0, not {version!r}")
    if queue is not None and not QUEUE.fullmatch(queue):
        raise ValueError(f"the queue of {name!r} has letters, digits and _ . + : -, not {queue!r}")
    declaration = Declaration(name, version, queue)

    def declare(declared: FunctionT) -> FunctionT:
        if declaration_of(declared) is not None:
            raise TypeError(f"{declared!r} has more than one @function; write a function for each")
        setattr(declared, _ATTRIBUTE, declaration)
        return declared

    return declare


def declaration_of(value: object) -> Declaration | None:
    """Returns the declaration of a function; None if it has none."""
    try:
        found = vars(value).get(_ATTRIBUTE)
    except TypeError:  # it has no attributes
        return None
    return found if isinstance(found, Declaration) else None
