"""The asynchronous client."""

from types import TracebackType
from typing import Final, Self

from unspool.client.connection import Connection
from unspool.client.event_methods import EventMethods
from unspool.client.execution_methods import ExecutionMethods
from unspool.client.operation_methods import OperationMethods
from unspool.client.workflow_methods import WorkflowMethods

DEFAULT_URL: Final = "http://127.0.0.1:8080"


class AsyncClient(WorkflowMethods, ExecutionMethods, EventMethods, OperationMethods):
    """A client of the HTTP API for one tenant. It belongs to one event loop; calls can run side by side.

    Every method raises `NoAnswer` if the API cannot be reached, and a subclass of `Problem` if it answers
    with an error. A request is sent again, after a pause with jitter, if the API cannot be reached or answers
    503 or 429, and only if that cannot have an effect twice: reads, `deploy`, `publish`, and `start` with an
    id; others only if the API has not begun with them.

    Args:
        url: the address of the API.
        token: an API key or a JWT.
        tenant: the tenant; without one, that of the key, else `default`.
        timeout: seconds for an answer, apart from those for which the API is asked to wait.
        attempts: how often a request is sent at most.

    Raises:
        ValueError: the address is not one of HTTP.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        tenant: str | None = None,
        timeout: float = 30.0,
        attempts: int = 6,
    ) -> None:
        self._api = Connection(url, token=token, tenant=tenant, timeout=timeout, attempts=attempts)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._api.close()
