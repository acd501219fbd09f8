"""`call: grpc` (dsl-reference.md, "gRPC Call"; inventory J19-J21)."""

from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.json_value import Json
from unspool.definitions.resource_reference import proto_reference
from unspool.definitions.tasks.call_arguments import compile_arguments
from unspool.definitions.tasks.request import Request

KIND: Final = "grpc"

PROTO: Final = "proto"
"""The name of the document that describes the service."""


def compile_grpc_call(task: dict[str, Json], context: CompileContext) -> Request:
    """Compiles a `call: grpc` task. Raises `TaskNotCompilable`."""
    members = {name: value for name, value in task["with"].items() if name != PROTO}
    arguments = compile_arguments(members, context, policies=[("service", "authentication")])
    return Request(
        KIND, arguments, documents={PROTO: proto_reference(task["with"][PROTO]["endpoint"], context)}
    )
