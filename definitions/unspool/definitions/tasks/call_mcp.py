"""`call: mcp` (dsl-reference.md, "MCP Call")."""

from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.call_arguments import authorization_of, compile_arguments
from unspool.definitions.tasks.request import Request

KIND: Final = "mcp"

_ENDPOINT: Final = ("transport", "http", "endpoint")


def compile_mcp_call(task: dict[str, Json], context: CompileContext) -> Request:
    """Compiles a `call: mcp` task. Raises `TaskNotCompilable`."""
    written = task["with"]
    arguments = compile_arguments(written, context, policies=(), endpoints=(_ENDPOINT,))
    return Request(KIND, arguments, authorization_of(written, context, (*_ENDPOINT, "authentication")))
