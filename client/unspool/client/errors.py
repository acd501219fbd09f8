"""What a client raises."""

from collections.abc import Mapping
from typing import Final

from unspool.client.records import Execution, Json


class ClientError(Exception):
    """The base of all errors of the client."""


class NoAnswer(ClientError):
    """The API did not answer: no connection, a connection that broke, or no answer in time.

    Attributes:
        sent: whether the API can have received the request.
    """

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


class TimedOut(NoAnswer, TimeoutError):
    """The API did not answer in time. It may have done what was asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=True)


class Problem(ClientError):
    """The API answered with an error. The subclass tells its status.

    Attributes:
        status: the HTTP status.
        detail: what is wrong and what to do.
        document: the whole problem document (RFC 7807); `errors`, for example, lists what is wrong in a
            definition.
        retry_after: seconds after which the request can be sent again; None if the API does not say.
    """

    def __init__(self, status: int, document: Mapping[str, Json], retry_after: float | None = None) -> None:
        self.status = status
        self.detail = str(document.get("detail") or document.get("title") or "the API gives no reason")
        self.document = dict(document)
        self.retry_after = retry_after
        super().__init__(f"{status}: {self.detail}")


class BadRequest(Problem):
    """400: the request is malformed."""


class Unauthorized(Problem):
    """401: there is no valid token."""


class Forbidden(Problem):
    """403: the token does not allow this."""


class NotFound(Problem):
    """404: there is no such object in the tenant."""


class Conflict(Problem):
    """409: the status does not allow the operation, or the id or version belongs to something else."""


class TooLarge(Problem):
    """413: the body is over the limit."""


class Invalid(Problem):
    """422: a field, a parameter or a definition is not valid."""


class TooManyRequests(Problem):
    """429: too many requests of one key."""


class Unavailable(Problem):
    """503: the store cannot be reached."""


class ServerFault(Problem):
    """Another status from 500: a defect of the API, or of a proxy before it."""


_BY_STATUS: Final[Mapping[int, type[Problem]]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
    429: TooManyRequests,
    503: Unavailable,
}


def problem(status: int, document: Mapping[str, Json], retry_after: float | None = None) -> Problem:
    """Returns the error for an answer."""
    default = ServerFault if status >= 500 else Problem
    return _BY_STATUS.get(status, default)(status, document, retry_after)


class NoResult(ClientError):
    """An execution has no output. `execution` is the execution."""

    def __init__(self, message: str, execution: Execution) -> None:
        super().__init__(message)
        self.execution = execution


class ExecutionFaulted(NoResult):
    """The execution faulted. `error` is its error."""

    def __init__(self, execution: Execution) -> None:
        self.error = execution.error
        super().__init__(f"execution {execution.id} faulted: {execution.error}", execution)


class ExecutionCancelled(NoResult):
    """The execution was cancelled."""

    def __init__(self, execution: Execution) -> None:
        super().__init__(f"execution {execution.id} was cancelled", execution)


class NotEnded(NoResult, TimeoutError):
    """The execution did not end in time. It continues."""

    def __init__(self, execution: Execution) -> None:
        super().__init__(f"execution {execution.id} has not ended; it is {execution.status}", execution)
