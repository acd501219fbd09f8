"""The queues of the task requests that every release knows. Functions have others, which executors name."""

from typing import Final

from unspool.definitions import resource
from unspool.definitions.tasks import (
    call_a2a,
    call_asyncapi,
    call_grpc,
    call_http,
    call_mcp,
    call_openapi,
    run_container,
    run_script,
    run_shell,
)
from unspool.definitions.tasks.request import queue_of

_KINDS: Final = (
    call_a2a.KIND,
    call_asyncapi.KIND,
    call_grpc.KIND,
    call_http.KIND,
    call_mcp.KIND,
    call_openapi.KIND,
    run_container.KIND,
    run_script.KIND,
    run_shell.KIND,
    resource.QUEUE,
)

QUEUES: Final = frozenset(map(queue_of, _KINDS))
