"""`call: asyncapi` (dsl-reference.md, "AsyncAPI Call")."""

from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.json_value import Json
from unspool.definitions.resource_reference import document_reference
from unspool.definitions.tasks.call_arguments import compile_arguments
from unspool.definitions.tasks.request import Request

KIND: Final = "asyncapi"


def compile_asyncapi_call(task: dict[str, Json], context: CompileContext) -> Request:
    """Compiles a `call: asyncapi` task. Raises `TaskNotCompilable`."""
    written = task["with"]
    document = document_reference(written["document"]["endpoint"], context)
    arguments = {name: value for name, value in written.items() if name != "document"}
    return Request(
        KIND, compile_arguments(arguments, context), documents={"document": document}, returns_input=True
    )
