"""`call: a2a` (dsl-reference.md, "A2A Call"; inventory J22)."""

from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.json_value import Json
from unspool.definitions.resource_reference import document_reference
from unspool.definitions.tasks.call_arguments import authorization_of, compile_arguments
from unspool.definitions.tasks.request import Request

KIND: Final = "a2a"
CARD: Final = "agentCard"
SERVER: Final = "server"


def compile_a2a_call(task: dict[str, Json], context: CompileContext) -> Request:
    """Compiles a `call: a2a` task. Raises `TaskNotCompilable`.

    With an agent card, `server` is ignored, and `authentication` is that of the card's endpoint.
    """
    written = task["with"]
    if CARD not in written:
        arguments = compile_arguments(written, context, policies=(), endpoints=((SERVER,),))
        return Request(KIND, arguments, authorization_of(written, context, (SERVER, "authentication")))
    endpoint = written[CARD]["endpoint"]
    members = {name: value for name, value in written.items() if name not in {CARD, SERVER}}
    if isinstance(endpoint, dict) and "authentication" in endpoint:
        members["authentication"] = endpoint["authentication"]
    documents = {CARD: document_reference(endpoint, context)}
    arguments = compile_arguments(members, context)
    return Request(KIND, arguments, authorization_of(members, context), documents=documents)
