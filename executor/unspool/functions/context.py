"""What a function can know of the task that calls it."""

import threading
from collections.abc import Callable
from typing import Any


class Cancelled(BaseException):
    """Raised by `Context.heartbeat` in a function whose result is no longer needed.

    It is no `Exception`, so that `except Exception` in the function does not catch it.
    """


class Context:
    """The task that calls a function. A function that has a parameter of this type receives it.

    A test makes its own: `Context()`.
    """

    def __init__(
        self,
        execution_id: str = "test",
        idempotency_key: str = "test/1",
        attempt: int = 1,
        task: str = "/do/0/test",
        tenant: str = "default",
        report: Callable[[Any], None] | None = None,
    ) -> None:
        """Takes what the attributes return, and a function that receives the progress."""
        self.execution_id = execution_id
        """Id of the execution."""
        self.idempotency_key = idempotency_key
        """The same for every delivery of this call. Send it to services, so that they do the work once."""
        self.attempt = attempt
        """How many times the call was delivered, this time included."""
        self.task = task
        """JSON pointer of the task in the definition."""
        self.tenant = tenant
        self.progress: Any = None
        """What the last `heartbeat` reported."""
        self._report = report
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether the result is no longer needed: the task was cancelled, or its timeout has passed.

        An `async` function is cancelled anyway. A sync one has to look.
        """
        return self._cancelled.is_set()

    def heartbeat(self, progress: Any = None) -> None:
        """Reports the progress of a long task, which `executions show` has. Call it as often as you like.

        Args:
            progress: a JSON value of at most 4096 bytes; None reports nothing.

        Raises:
            Cancelled: the result is no longer needed.
            ValueError: the value is larger.
            TypeError: it is not JSON.
        """
        if self.cancelled:
            raise Cancelled
        if progress is None:
            return
        self.progress = progress
        if self._report is not None:
            self._report(progress)

    def wait(self, seconds: float) -> None:
        """Waits in a sync function. In an `async` function use `asyncio.sleep`.

        Raises:
            Cancelled: the result is no longer needed.
        """
        if self._cancelled.wait(seconds):
            raise Cancelled

    def cancel(self) -> None:
        """Sets `cancelled`, as the executor does. Tests may call it."""
        self._cancelled.set()
