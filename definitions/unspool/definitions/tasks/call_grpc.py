"""`call: grpc` (dsl-reference.md, "gRPC Call"; inventory J19-J21)."""

from typing import Final

from unspool.definitions.compile_context import CompileContext
from unspool.definitions.json_value import Json
from unspool.definitions.resource_reference import proto_reference
from unspool.definitions.tasks.call_arguments import authorization_of, compile_arguments
from unspool.definitions.tasks.request import Request

KIND: Final = "grpc"

_POLICY: Final = ("service", "authentication")

PROTO: Final = "proto"
"""The name of the document that describes the service."""


TLS: Final = "tls"
"""The argument that says whether to use TLS. Without it the port decides."""


def compile_grpc_call(task: dict[str, Json], context: CompileContext) -> Request:
    """Compiles a `call: grpc` task. Without a proto, the server is asked. Raises `TaskNotCompilable`."""
    written = task["with"]
    members = {name: value for name, value in written.items() if name != PROTO}
    if isinstance(tls := _written_tls(task), bool):
        members[TLS] = tls
    arguments = compile_arguments(members, context, policies=[_POLICY])
    documents = {PROTO: proto_reference(written[PROTO]["endpoint"], context)} if PROTO in written else {}
    return Request(KIND, arguments, authorization_of(members, context, _POLICY), documents=documents)


def _written_tls(task: dict[str, Json]) -> Json:
    """Returns `metadata.unspool.tls` of a task; None without it."""
    value: Json = task
    for member in ("metadata", "unspool", "tls"):
        value = value.get(member) if isinstance(value, dict) else None
    return value
