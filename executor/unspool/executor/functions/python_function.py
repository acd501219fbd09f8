"""Runs a function in Python for one task: reads its input, calls it, and makes JSON of what it returns."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import CancelledError as FutureCancelled
from contextlib import AsyncExitStack
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from unspool.definitions import errors
from unspool.definitions.data_schema import DataSchema
from unspool.definitions.errors import WorkflowError
from unspool.definitions.json_value import Json
from unspool.definitions.spelling import shown
from unspool.eventstore.records import TaskRequest
from unspool.eventstore.tracebacks import traceback_without_messages
from unspool.executor.functions.task_kind import Run
from unspool.executor.functions.threads import FunctionThreads
from unspool.executor.functions.validation import require
from unspool.executor.kinds import HandlerServices
from unspool.executor.masking import masked
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected
from unspool.executor.task_context import TaskContext
from unspool.functions import Cancelled, Context, TaskError
from unspool.functions.plain import plain
from unspool.functions.signature import Mismatch, Signature

log = logging.getLogger(__name__)

_CANCEL_SECONDS: Final = 5.0
"""How long a cancelled `async` function may still run."""

_LONGEST_DETAIL: Final = 1000


@dataclass(frozen=True, slots=True)
class PythonFunction:
    """A function with the shapes of its data."""

    identity: str
    """Name and version."""
    call: Callable[..., Any]
    signature: Signature
    input_check: DataSchema | None
    output_check: DataSchema | None
    is_async: bool

    def opened(self, services: HandlerServices, stack: AsyncExitStack, threads: FunctionThreads) -> Run:  # noqa: ARG002 - as of kinds
        """Returns what runs a call."""
        return partial(self._run, threads)

    async def _run(
        self, threads: FunctionThreads, request: TaskRequest, input_: Json, context: TaskContext
    ) -> Outcome:
        """Calls the function. Each exception of its author's code becomes an error of the workflow."""
        own = Context(
            execution_id=request.execution,
            idempotency_key=request.idempotency_key,
            attempt=context.attempt,
            task=request.task,
            tenant=context.tenant,
            report=lambda progress: context.report(plain(progress)),
        )
        if self.is_async:
            return await self._run_async(request, input_, own)
        within = copy_context()
        try:
            return await threads.run(lambda: within.run(self._run_sync, request, input_, own))
        except asyncio.CancelledError:
            own.cancel()
            raise

    def _run_sync(self, request: TaskRequest, input_: Json, context: Context) -> Outcome:
        try:
            positional, named = self._arguments(input_, context)
            return Completed(self._output(self.call(*positional, **named)))
        except BaseException as error:  # noqa: BLE001 - nothing may end the thread or the process
            return self._fault(request, error)

    async def _run_async(self, request: TaskRequest, input_: Json, context: Context) -> Outcome:
        # In a task of its own, so that one that ignores its cancellation does not hold up the executor.
        task = asyncio.create_task(self._awaited(request, input_, context))
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            context.cancel()
            task.cancel()
            await asyncio.wait({task}, timeout=_CANCEL_SECONDS)
            if not task.done():
                log.warning("the function %s does not end although it was cancelled", self.identity)
            raise
        return task.result()

    async def _awaited(self, request: TaskRequest, input_: Json, context: Context) -> Outcome:
        try:
            positional, named = self._arguments(input_, context)
            return Completed(self._output(await self.call(*positional, **named)))
        except BaseException as error:
            if context.cancelled and isinstance(error, asyncio.CancelledError | GeneratorExit):
                raise
            return self._fault(request, error)

    def _arguments(self, input_: Json, context: Context) -> tuple[list[Any], dict[str, Any]]:
        require(self.input_check, input_, f"the input of {self.identity}")
        try:
            return self.signature.arguments(input_, context)
        except Mismatch as mismatch:
            raise Rejected(errors.validation(f"the input of {self.identity}: {mismatch}")) from None

    def _output(self, result: Any) -> Json:
        try:
            output = self.signature.output(result)
        except Mismatch as mismatch:
            raise Rejected(errors.validation(f"the result of {self.identity}: {mismatch}")) from None
        require(self.output_check, output, f"the result of {self.identity}")
        return output

    def _fault(self, request: TaskRequest, error: BaseException) -> Faulted:
        match error:
            case Rejected():
                return Faulted(error.error)
            case TaskError():
                return Faulted(WorkflowError(error.type, error.status, error.title, error.detail))
            case Cancelled() | asyncio.CancelledError() | FutureCancelled():
                return Faulted(errors.runtime(f"{self.identity} was cancelled", title="Cancelled"))
            case _:
                return self._defect(request, error)

    def _defect(self, request: TaskRequest, error: BaseException) -> Faulted:
        """The outcome of an exception that is no error for the workflow. Only the log has its traceback.

        The error has its message: it may quote data of the workflow, which views mask.
        """
        log.error(
            "the function %s failed: %s",
            self.identity,
            masked(traceback_without_messages(error), ()),
            extra={"action": "function_failed", "execution": request.execution, "task": request.task},
        )
        kind = type(error)
        name = (
            kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        )
        message = masked(_text(error), ())
        detail = shown(f"{name}: {message}" if message else name, _LONGEST_DETAIL)
        return Faulted(errors.runtime(detail, title="Function failed"))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the author's `__str__` may raise anything
        return ""
