"""What a tool is: its description for agents, and what it does."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema_rs
from mcp.types import Tool, ToolAnnotations

from unspool.cli.exits import CommandError
from unspool.cli.targets.port import Target
from unspool.definitions.json_value import Json
from unspool.eventstore import strict_json
from unspool.eventstore.api_keys import Scope

Arguments = Mapping[str, Json]

Report = Callable[[float, str], Awaitable[None]]
"""Tells the client how many seconds of a wait have passed, and what happens."""

ID: Final = {"type": "string", "minLength": 1, "maxLength": 128, "description": "The id of an execution"}

READ_ONLY: Final = ToolAnnotations(read_only_hint=True, open_world_hint=False)


@dataclass(frozen=True, slots=True)
class UnspoolTool:
    """A tool."""

    name: str
    title: str
    description: str
    properties: Mapping[str, Json]
    """The JSON schemas of the arguments."""
    run: Callable[[Target, Arguments, Report], Awaitable["Answer"]]
    required: tuple[str, ...] = ()
    scope: Scope = Scope.READ
    """What a key must allow."""
    annotations: ToolAnnotations = field(default_factory=lambda: READ_ONLY)

    @property
    def input_schema(self) -> dict[str, Any]:
        """The JSON schema of all arguments."""
        return {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
            "additionalProperties": False,
        }

    def described(self) -> Tool:
        """Returns the tool as the protocol describes it."""
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.input_schema,
            annotations=self.annotations,
        )

    def checked(self, arguments: Arguments) -> Arguments:
        """Returns arguments that fit the schema, with whole numbers as integers: `1.0` is one, too.

        Raises:
            CommandError: they do not fit the schema.
        """
        for error in jsonschema_rs.Draft202012Validator(self.input_schema).iter_errors(dict(arguments)):
            place = "/".join(map(str, error.instance_path)) or "the arguments"
            raise CommandError(f"{place}: {error.message[:500]}")
        return {name: self._whole(name, value) for name, value in arguments.items()}

    def _whole(self, name: str, value: Json) -> Json:
        is_whole = isinstance(value, float) and self.properties[name].get("type") == "integer"
        return int(value) if is_whole else value


def check_json(arguments: Arguments) -> None:
    """Checks that a store can keep arguments as they are, as the API checks the body of a request.

    Raises:
        CommandError: they have an infinite number, half of a surrogate pair, an integer of more than 64
            bits, or too many levels.
    """
    try:
        strict_json.parse(json.dumps(dict(arguments)).encode())
    except strict_json.BadJson as problem:
        raise CommandError(f"the JSON of the arguments {problem}") from None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool answers."""

    value: Json
    failed: bool = False
    """Whether an agent should take it for a failure: the execution faulted or was cancelled."""
