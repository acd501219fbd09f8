"""Calls of one task to its server: connection, credentials, time, errors."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import grpc
from yarl import URL

from unspool.definitions import errors
from unspool.eventstore.monitoring.trace_context import trace_context
from unspool.executor.authentication.credentials import Credentials, Sending
from unspool.executor.egress import AddressRefused
from unspool.executor.grpc.channels import Channels
from unspool.executor.grpc.failures import NoConnection, status_error
from unspool.executor.grpc.target import Target
from unspool.executor.outcome import Rejected

_AT_DEADLINE: Final = 0.1
"""Seconds before a deadline that count as the deadline: two clocks measure it."""

Metadata = tuple[tuple[str, str], ...]

Result = TypeVar("Result")

Send = Callable[[grpc.aio.Channel, Metadata, float], Awaitable[Result]]
"""Makes a call on a channel, with metadata and within seconds. Raises `AioRpcError`."""


@dataclass(frozen=True, slots=True)
class Remote:
    """The server of a task, and what all calls to it share."""

    channels: Channels
    target: Target
    credentials: Credentials
    key: str
    """The idempotency key."""
    seconds: float
    """How long all calls may take."""
    deadline: float
    """When they have to end, in the time of the event loop."""
    task_deadline: float | None
    """The deadline of the task, if it has one."""

    async def call(self, path: str, send: Send[Result]) -> Result:
        """Makes a call.

        Args:
            path: of the method, as it is sent.
            send: makes the call, again with other credentials if the server refuses the first ones.

        Raises:
            Rejected: the call failed.
        """
        label = f"{self.target.authority}{path}"
        try:
            async with asyncio.timeout_at(self.deadline), self.channels.channel(self.target) as channel:
                return await self._authenticated(channel, path, send)
        except AddressRefused as refused:
            detail = f"{self.target.authority}: {refused}"
            raise Rejected(errors.authorization(detail, title="Address not allowed")) from None
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                await self._at_deadline(label)
            raise Rejected(status_error(label, error, self.credentials.secrets)) from None
        except TimeoutError:
            await self._at_deadline(label)
            raise
        except NoConnection as none:
            detail = f"{label}: {none.cause}"
            raise Rejected(errors.communication(detail, title="No connection", status=503)) from None
        except (OSError, UnicodeError):
            detail = f"{label}: the host name could not be resolved"
            raise Rejected(errors.communication(detail, title="No connection", status=503)) from None

    async def _at_deadline(self, label: str) -> None:
        """Ends a call whose own deadline has passed, and not one of the server.

        At the deadline of the task the executor cancels this: then only the execution knows what timed out.

        Raises:
            Rejected: the limit of the executor has passed.
        """
        now = asyncio.get_running_loop().time()
        if self.task_deadline is not None and now >= self.task_deadline - _AT_DEADLINE:
            await asyncio.sleep(10 * _AT_DEADLINE)
        if now >= self.deadline - _AT_DEADLINE:
            raise Rejected(errors.timeout(f"{label} took longer than {self.seconds:g} s"))

    async def _authenticated(self, channel: grpc.aio.Channel, path: str, send: Send[Result]) -> Result:
        scheme = "https" if self.target.tls else "http"
        sending = Sending("POST", URL(f"{scheme}://{self.target.authority}{path}"))
        try:
            header = await self.credentials.header(sending)
            return await send(channel, self._metadata(header), self._left())
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
            renewed = await self.credentials.renewed(sending, ())
            if renewed is None:
                raise
        return await send(channel, self._metadata(renewed), self._left())

    def _metadata(self, authorization: str | None) -> Metadata:
        """The metadata of a call. Raises `Rejected`."""
        known = ("idempotency-key", self.key), *trace_context.get().items()
        if authorization is None:
            return known
        if not (authorization.isascii() and authorization.isprintable()):
            raise Rejected(errors.configuration("the credentials have characters that metadata cannot have"))
        return *known, ("authorization", authorization)

    def _left(self) -> float:
        return max(0.0, self.deadline - asyncio.get_running_loop().time())
