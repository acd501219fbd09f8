"""`call: mcp` (dsl-reference.md, "MCP Call")."""

from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.call_arguments import compile_arguments
from unspool.definitions.tasks.request import Request

KIND: Final = "mcp"

_ENDPOINT: Final = ("transport", "http", "endpoint")


def compile_mcp_call(task: dict[str, Json], context: CompileContext) -> Request:
    """Compiles a `call: mcp` task. Raises `TaskNotCompilable`."""
    return Request(KIND, compile_arguments(task["with"], context, policies=(), endpoints=(_ENDPOINT,)))
