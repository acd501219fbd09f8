"""The status with which a server ended a call while messages were sent to it.

A server may end a call before it has all messages. If one is written then, the library replaces the status
of the server with INTERNAL (https://github.com/grpc/grpc/issues/36066).
"""

from collections.abc import Coroutine
from typing import Any, Final

import grpc

_REPLACEMENT: Final = "Internal error from Core"


class ServerStatus:
    """The first status of a call, which is that of the server if another one replaces it."""

    def __init__(self, call: grpc.aio.Call) -> None:
        """Takes a call that has just begun."""
        self._first: tuple[grpc.StatusCode, str] | None = None
        call.add_done_callback(self._keep)

    def of(self, error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError | None:
        """Returns the error that the call has raised, with the status of the server.

        None if the server ended the call without an error.
        """
        replaced = error.code() is grpc.StatusCode.INTERNAL and error.details() == _REPLACEMENT
        if not replaced or self._first is None:
            return error
        code, details = self._first
        if code is grpc.StatusCode.OK:
            return None
        return grpc.aio.AioRpcError(code, error.initial_metadata(), error.trailing_metadata(), details)

    def _keep(self, call: grpc.aio.Call) -> None:
        if self._first is None:
            self._first = _present(call.code()), _present(call.details())


def _present(answer: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine without a wait, after which the status could be another one."""
    try:
        answer.send(None)
    except StopIteration as done:
        return done.value
    finally:
        answer.close()
    raise AssertionError("the status of an ended call is known")
