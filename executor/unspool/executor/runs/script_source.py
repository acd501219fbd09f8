"""A script with its arguments."""

from collections.abc import Mapping
from dataclasses import dataclass

from unspool.definitions.json_value import Json


@dataclass(frozen=True, slots=True)
class ScriptSource:
    """A script with its arguments."""

    code: str
    argv: tuple[str, ...]
    variables: Mapping[str, Json]
    """The arguments by name, if they are a map."""
