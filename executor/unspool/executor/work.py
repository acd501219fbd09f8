"""What is done with one delivered task: try its handler, judge the outcome, hand in the result."""

import asyncio
import logging
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import orjson

from unspool.definitions import errors
from unspool.eventstore.clock import Clock
from unspool.eventstore.errors import NotFound
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Delivery, TaskRequest
from unspool.eventstore.retry import JITTER, retry_until_available
from unspool.executor.outcome import Completed, Faulted, Handler, Outcome
from unspool.executor.settings import ExecutorSettings

log = logging.getLogger(__name__)

MAX_FAILURES: Final = 3
"""A handler that raised so often on a task gives it up to the dead letters."""

MAX_DELIVERIES: Final = 10
"""A task delivered so often without an end is given up unseen: it may be what ends its executors."""

_BACKOFF_SECONDS: Final = 0.25


class HandlerFailed(Exception):
    """A handler raised on a task as often as it may."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Work:
    """Does delivered tasks, one call each; safe to call many times at once."""

    def __init__(
        self, store: EventStore, handlers: Mapping[str, Handler], settings: ExecutorSettings, clock: Clock
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._max_result = settings.max_result_bytes
        self._clock = clock

    async def do(self, delivery: Delivery[TaskRequest]) -> None:
        """Does a task to its end: its result is handed in, or it lies among the dead letters.

        When its deadline comes first nobody is told: that is the timeout of the task or of something around
        it, whose own timer is due, and only the execution knows which.
        """
        if delivery.attempts > MAX_DELIVERIES:
            await self._bury(delivery, f"delivered {delivery.attempts} times, never brought to an end", "")
            return
        try:
            outcome = await self._in_time(delivery.body)
        except TimeoutError:
            await self.drop(delivery)
        except HandlerFailed as failed:
            cause = failed.cause
            text = "".join(traceback.format_exception(cause))
            tried = delivery._replace(attempts=delivery.attempts + MAX_FAILURES - 1)
            await self._bury(tried, f"{type(cause).__name__}: {cause}", text)
        else:
            message = self._checked(outcome).message(delivery.body)
            await retry_until_available(lambda: self._store.finish_task(delivery, message))

    async def drop(self, delivery: Delivery[TaskRequest]) -> None:
        """Acknowledges a task whose result nobody wants any more."""
        await retry_until_available(lambda: self._store.finish_task(delivery, None))

    async def _in_time(self, request: TaskRequest) -> Outcome:
        """The outcome, if it comes before the deadline; else raises `TimeoutError`."""
        if request.deadline is None:
            return await self._outcome(request)
        left = (request.deadline - self._clock.now()) / 1000
        if left <= 0:
            raise TimeoutError
        async with asyncio.timeout(left):
            return await self._outcome(request)

    async def _outcome(self, request: TaskRequest) -> Outcome:
        """The outcome. Raises `HandlerFailed` when the handler has failed too often."""
        failures = 0
        while True:
            try:
                return await self._handlers[request.queue](request)
            except Exception as error:
                failures += 1
                log.warning(
                    "the handler of a task failed: %r",
                    error,
                    extra={"action": "task_failed", "execution": request.execution, "task": request.task},
                )
                if failures == MAX_FAILURES:
                    raise HandlerFailed(error) from error
            await asyncio.sleep(_BACKOFF_SECONDS * 2**failures * JITTER.uniform(0.5, 1.5))

    async def _bury(self, delivery: Delivery[TaskRequest], error: str, trace: str) -> None:
        with suppress(NotFound):  # somebody else has settled it meanwhile
            await retry_until_available(lambda: self._store.move_to_dead_letters(delivery, error, trace))

    def _checked(self, outcome: Outcome) -> Outcome:
        """The outcome, if it can be handed in, else an error: it must come to an end in any case."""
        what = outcome.output if isinstance(outcome, Completed) else outcome.error.to_json()
        try:
            size = len(orjson.dumps(what))
        except orjson.JSONEncodeError as error:
            return Faulted(errors.runtime(f"the task's result is not JSON: {error}"))
        if size <= self._max_result:
            return outcome
        detail = f"the task's result has {size} bytes as JSON, more than {self._max_result}"
        return Faulted(errors.runtime(detail, title="Result too large"))
