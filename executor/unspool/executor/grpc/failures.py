"""Errors of gRPC calls (inventory J21). None has a secret or the address of a server."""

import re
from typing import Final

import grpc

from unspool.definitions.errors import WorkflowError, communication
from unspool.executor.masking import masked

_MOST_CHARACTERS: Final = 300
"""How much of the message of a server is in an error."""

STATUS: Final = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
"""The HTTP status of each code, as in google/rpc/code.proto."""

_OF_LIBRARY: Final = frozenset(
    {grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE}
)
_NO_CONNECTION: Final = "failed to connect to all addresses"
_TOO_LARGE: Final = re.compile(r"CLIENT: (Received|Sent) message larger than max \((\d+) vs\. (\d+)\)")
_CAUSES: Final = (
    ("CERTIFICATE_VERIFY_FAILED|Hostname Verification", "the server's certificate is not valid for it"),
    ("handshake|SSL|TLS", "no TLS connection could be made"),
    ("HTTP/2|http1", "the server does not speak gRPC there, or needs TLS"),
    ("refused", "the server refused the connection"),
)
"""By what the library says, what an error says."""


class NoConnection(OSError):
    """No connection to the server could be made."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def no_connection(error: grpc.aio.AioRpcError) -> NoConnection | None:
    """Why there was no connection; None for an error of a call that was sent."""
    text = error.details() or ""
    if error.code() is not grpc.StatusCode.UNAVAILABLE or not text.startswith(_NO_CONNECTION):
        return None
    return NoConnection(_cause(text))


def is_answer(error: grpc.aio.AioRpcError) -> bool:
    """Whether an error surely comes from the server: the library itself makes others, too."""
    return error.code() not in _OF_LIBRARY


def status_error(label: str, error: grpc.aio.AioRpcError, secrets: tuple[str, ...]) -> WorkflowError:
    """The error for a call that ended with a status other than OK.

    Args:
        label: names the call.
        error: what the library raised.
        secrets: texts to hide.
    """
    text = error.details() or ""
    if (found := _TOO_LARGE.search(text)) is not None:
        what = "response" if found[1] == "Received" else "request"
        detail = f"{label}: a message of its {what} has {found[2]} bytes, more than {found[3]}"
        return communication(detail, title=f"{what.capitalize()} too large")
    detail = f"{label} answered {error.code().name}"
    if text:
        detail += f": {masked(text, secrets)[:_MOST_CHARACTERS]}"
    return communication(detail, title=error.code().name, status=STATUS[error.code()])


def _cause(text: str) -> str:
    return next(
        (cause for pattern, cause in _CAUSES if re.search(pattern, text, re.IGNORECASE)),
        "no connection could be made",
    )
