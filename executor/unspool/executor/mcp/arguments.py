"""Reads the evaluated arguments of an MCP call, and refuses bad ones. Pure."""

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from mcp_types import Implementation
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from unspool.definitions.durations import BadDuration, parse_duration
from unspool.definitions.json_value import Json
from unspool.eventstore.records import TaskRequest
from unspool.executor.outcome import reject

DEFAULT_VERSION: Final = "2025-06-18"
"""The protocol version of the DSL (inventory V11)."""

KEY: Final = "idempotencyKey"
"""The member of `_meta` that has the idempotency key of a task."""

METHODS: Final = frozenset(
    {
        "tools/list",
        "tools/call",
        "prompts/list",
        "prompts/get",
        "resources/list",
        "resources/read",
        "resources/templates/list",
    }
)


@dataclass(frozen=True, slots=True)
class McpCall:
    """One method of a server, with its parameters."""

    method: str
    parameters: dict[str, Any]
    version: str
    """The protocol version to ask for."""
    client: Implementation
    seconds: float
    """The longest time of the call, the start of the session included."""


def prepare(request: TaskRequest, longest_seconds: float) -> McpCall:
    """Reads the arguments of an `mcp` task, without those of the transport.

    Args:
        request: of the task.
        longest_seconds: the operator's limit of a call.

    Raises:
        Rejected: an argument is invalid; the `configuration` error names it.
    """
    arguments = request.arguments
    if arguments["method"] not in METHODS:
        reject(f"{arguments['method']!r} is not a method of MCP that can be called")
    return McpCall(
        method=arguments["method"],
        parameters=_parameters(request),
        version=_version(arguments.get("protocolVersion", DEFAULT_VERSION)),
        client=_client(arguments.get("client")),
        seconds=min(_seconds(arguments.get("timeout")) or longest_seconds, longest_seconds),
    )


def _parameters(request: TaskRequest) -> dict[str, Any]:
    parameters = request.arguments.get("parameters") or {}
    if not isinstance(parameters, dict):
        reject(f"parameters must be a map, not {type(parameters).__name__}")
    if request.arguments["method"] != "tools/call":
        return parameters
    # A tool has effects, and a task can be delivered twice.
    meta = parameters.get("_meta")
    return {**parameters, "_meta": {KEY: request.idempotency_key, **(meta if isinstance(meta, dict) else {})}}


def _version(asked: Json) -> str:
    if asked not in KNOWN_PROTOCOL_VERSIONS:
        known = ", ".join(KNOWN_PROTOCOL_VERSIONS)
        reject(f"protocolVersion {asked!r} is not supported; supported are {known}")
    return str(asked)


def _client(client: Json) -> Implementation:
    if client is None:
        return _unspool()
    try:
        return Implementation.model_validate(client, strict=True)
    except ValidationError:
        reject("the client needs a name and a version, both text")


@cache
def _unspool() -> Implementation:
    return Implementation(name="unspool", version=version("unspool"))


def _seconds(timeout: Json) -> float | None:
    if timeout is None:
        return None
    try:
        return parse_duration(timeout).milliseconds_from(0) / 1000
    except BadDuration as problem:
        reject(f"timeout: {problem}")
