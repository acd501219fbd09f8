"""Runs one delivered task: calls its handler, checks the outcome, sends the result."""

import asyncio
import logging
import traceback
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import orjson

from unspool.definitions import errors
from unspool.eventstore.clock import Clock
from unspool.eventstore.errors import NotFound
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Delivery, ExecutionKey, TaskRequest
from unspool.eventstore.retry import JITTER, retry_until_available
from unspool.executor.metrics import ExecutorMetrics, TaskEnd
from unspool.executor.outcome import Completed, Faulted, FetchedText, HandedBack, Handler, Outcome
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import HeldTask, TaskContext, current

log = logging.getLogger(__name__)

MAX_FAILURES: Final = 3
"""After this many exceptions of its handler, a task is moved to the dead letter queue."""

MAX_DELIVERIES: Final = 10
"""After this many deliveries a task is moved to the dead letter queue without another attempt, because it
may crash its executors."""

_BACKOFF_SECONDS: Final = 0.25


class HandlerFailed(Exception):
    """A handler raised `MAX_FAILURES` times for one task."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class TaskRunner:
    """Runs delivered tasks, one per call; concurrent calls are safe."""

    def __init__(
        self,
        store: EventStore,
        handlers: Mapping[str, Handler],
        settings: ExecutorSettings,
        clock: Clock,
        metrics: ExecutorMetrics,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._handlers = handlers
        self._max_result = settings.max_result_bytes
        self._clock = clock

    async def run(self, delivery: Delivery[TaskRequest], held: HeldTask) -> TaskEnd:
        """Runs a task, then sends its result or moves it to the dead letter queue. Raises `HandedBack`.

        At the deadline, no result is sent. The timer of the timeout informs the execution. Only the execution
        knows whether the task or something around it timed out.
        """
        if delivery.attempts > MAX_DELIVERIES:
            error = f"delivered {delivery.attempts} times and never finished"
            await self._move_to_dead_letters(delivery, error, "")
            return TaskEnd.DEAD_LETTERED
        try:
            context = self._context(delivery, held)
            if context.deadline is None:
                outcome = await self._call_handler(delivery.body, context)
            else:
                async with asyncio.timeout_at(context.deadline):
                    outcome = await self._call_handler(delivery.body, context)
        except TimeoutError:
            await self.discard(delivery)
            return TaskEnd.TIMED_OUT
        except HandlerFailed as failed:
            cause = failed.cause
            trace = "".join(traceback.format_exception(cause))
            tried = delivery._replace(attempts=delivery.attempts + MAX_FAILURES - 1)
            await self._move_to_dead_letters(tried, f"{type(cause).__name__}: {cause}", trace)
            return TaskEnd.DEAD_LETTERED
        if isinstance(outcome, FetchedText):
            outcome = await self._stored(delivery.key, outcome)
        result = self._validated(outcome)
        message = result.message(delivery.body)
        await retry_until_available(partial(self._store.finish_task, delivery, message))
        return TaskEnd.COMPLETED if isinstance(result, Completed) else TaskEnd.FAULTED

    async def _stored(self, user: ExecutionKey, outcome: FetchedText) -> Completed | Faulted:
        """Stores a text that was fetched. Returns the outcome with its hash."""
        text = outcome.text
        return outcome.stored(await retry_until_available(lambda: self._store.put_text(user, text)))

    async def discard(self, delivery: Delivery[TaskRequest]) -> None:
        """Acknowledges a task without a result."""
        await retry_until_available(partial(self._store.finish_task, delivery, None))

    def _context(self, delivery: Delivery[TaskRequest], held: HeldTask) -> TaskContext:
        """What the handler knows of the task. Raises `TimeoutError` after the deadline."""
        deadline = None
        if delivery.body.deadline is not None:
            left = (delivery.body.deadline - self._clock.now()) / 1000
            if left <= 0:
                raise TimeoutError
            deadline = asyncio.get_running_loop().time() + left
        return TaskContext(
            delivery.tenant,
            delivery.attempts,
            self._store,
            held.report,
            held.parked,
            held.before_call,
            deadline,
        )

    async def _call_handler(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """The outcome. Raises `HandlerFailed` when the handler has raised `MAX_FAILURES` times."""
        kind, failures = request.kind, 0
        token = current.set(context)
        try:
            while True:
                try:
                    return await self._handlers[kind](request, context)
                except HandedBack:
                    raise
                except Exception as error:
                    failures += 1
                    self._metrics.handler_failed(kind)
                    log.warning(
                        "the handler of a task failed",
                        exc_info=error,
                        extra={"action": "task_failed", "execution": request.execution, "task": request.task},
                    )
                    if failures == MAX_FAILURES:
                        raise HandlerFailed(error) from error
                await asyncio.sleep(_BACKOFF_SECONDS * 2**failures * JITTER.uniform(0.5, 1.5))
        finally:
            current.reset(token)  # else the asyncio task and its context refer to each other

    async def _move_to_dead_letters(self, delivery: Delivery[TaskRequest], error: str, trace: str) -> None:
        with suppress(NotFound):  # another executor has finished it meanwhile
            await retry_until_available(lambda: self._store.move_to_dead_letters(delivery, error, trace))

    def _validated(self, outcome: Completed | Faulted) -> Completed | Faulted:
        """The outcome if it can be stored; otherwise a `runtime` error, so that the task finishes."""
        value = outcome.output if isinstance(outcome, Completed) else outcome.error.to_json()
        try:
            size = len(orjson.dumps(value))
        except orjson.JSONEncodeError as error:
            return Faulted(errors.runtime(f"the task's result is not JSON: {error}"))
        if size <= self._max_result:
            return outcome
        detail = f"the task's result has {size} bytes as JSON, more than {self._max_result}"
        return Faulted(errors.runtime(detail, title="Result too large"))
