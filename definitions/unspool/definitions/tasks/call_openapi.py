"""`call: openapi` (dsl-reference.md, "OpenAPI Call"; inventory J13)."""

from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.json_value import Json
from unspool.definitions.resource_reference import document_reference
from unspool.definitions.tasks.call_arguments import authorization_of, compile_arguments
from unspool.definitions.tasks.request import Request

KIND: Final = "openapi"
DOCUMENT: Final = "document"


def compile_openapi_call(task: dict[str, Json], context: CompileContext) -> Request:
    """Compiles a `call: openapi` task. Raises `TaskNotCompilable`."""
    written = task["with"]
    arguments = compile_arguments({n: v for n, v in written.items() if n != DOCUMENT}, context)
    documents = {DOCUMENT: document_reference(written[DOCUMENT]["endpoint"], context)}
    return Request(KIND, arguments, authorization_of(written, context), documents=documents)
