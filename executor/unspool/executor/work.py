"""What is done with one delivered task: try its handler, judge the outcome, hand in the result."""

import asyncio
import logging
import random
import traceback
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import orjson

from unspool.definitions import errors
from unspool.eventstore.clock import Clock
from unspool.eventstore.errors import NotFound
from unspool.eventstore.patience import patiently
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Delivery, TaskRequest
from unspool.executor.outcome import Completed, Faulted, Handler, Outcome
from unspool.executor.settings import ExecutorSettings

logger = logging.getLogger(__name__)

MAX_FAILURES: Final = 3
"""A handler that raised so often on a task gives it up to the dead letters."""

MAX_DELIVERIES: Final = 10
"""A task delivered so often without an end is given up unseen: it may be what ends its executors."""

_BACKOFF_SECONDS: Final = 0.25
_JITTER: Final = random.Random()  # noqa: S311 - spreads load, keeps no secret


class Work:
    """Does delivered tasks, one call each; safe to call many times at once."""

    def __init__(
        self, store: EventStore, handlers: Mapping[str, Handler], settings: ExecutorSettings, clock: Clock
    ):
        self._store = store
        self._handlers = handlers
        self._max_result = settings.max_result_bytes
        self._clock = clock

    async def do(self, delivery: Delivery[TaskRequest]) -> None:
        """Does a task to its end: its result is handed in, or it lies among the dead letters."""
        if delivery.attempts > MAX_DELIVERIES:
            error = f"delivered {delivery.attempts} times, never brought to an end"
            await self._settle(delivery, error, "")
            return
        outcome = await self._outcome(delivery)
        if outcome is not None:
            message = self._checked(outcome).message(delivery.body)
            await patiently(lambda: self._store.finish(delivery, message))

    async def drop(self, delivery: Delivery[TaskRequest]) -> None:
        """Acknowledges a task whose result nobody wants any more."""
        await patiently(lambda: self._store.finish(delivery, None))

    async def _outcome(self, delivery: Delivery[TaskRequest]) -> Outcome | None:
        """The outcome; None when the handler failed too often and the task was buried."""
        request = delivery.body
        failures = 0
        while request.deadline is None or request.deadline > self._clock.now():
            try:
                return await self._handlers[request.queue](request)
            except Exception as error:  # noqa: BLE001 - whatever a handler raises is that task's failure alone
                failures += 1
                logger.warning("task %s of %s failed: %r", request.task, request.execution, error)
                if failures == MAX_FAILURES:
                    await self._bury(delivery, error)
                    return None
            await asyncio.sleep(_BACKOFF_SECONDS * 2**failures * _JITTER.uniform(0.5, 1.5))
        return Faulted(errors.timeout("the task's time was over before it could be done"))

    async def _bury(self, delivery: Delivery[TaskRequest], error: Exception) -> None:
        failed = delivery._replace(attempts=delivery.attempts + MAX_FAILURES - 1)
        text = "".join(traceback.format_exception(error))
        line = f"{type(error).__name__}: {error}"
        await self._settle(failed, line, text)

    async def _settle(self, delivery: Delivery[TaskRequest], error: str, trace: str) -> None:
        with suppress(NotFound):  # somebody else has settled it meanwhile
            await patiently(lambda: self._store.bury(delivery, error, trace))

    def _checked(self, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, Completed):
            return outcome
        try:
            size = len(orjson.dumps(outcome.output))
        except orjson.JSONEncodeError as error:
            return Faulted(errors.runtime(f"the task's result is not JSON: {error}"))
        if size <= self._max_result:
            return outcome
        detail = f"the task's result has {size} bytes as JSON, more than {self._max_result}"
        return Faulted(errors.runtime(detail, title="Result too large"))
