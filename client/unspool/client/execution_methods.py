"""The part of the client for executions and their histories."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final

import orjson

from unspool.client.connection import Parameters, Request, path_of
from unspool.client.errors import ExecutionCancelled, ExecutionFaulted, NotEnded
from unspool.client.records import Counts, Event, Execution, Json, Timeline, Why, Workflow
from unspool.client.requests import Requests, named, short_pause

_WAIT_SECONDS: Final = 30.0
"""The longest wait of one request: proxies cut connections on which nothing happens."""


class ExecutionMethods(Requests):
    """Starts, reads and operates executions."""

    async def start(
        self,
        workflow: str | Workflow,
        input: Json = None,
        *,
        id: str | None = None,
        tags: Mapping[str, str] | None = None,
        wait: float | None = None,
    ) -> Execution:
        """Starts an execution; with an id that exists, returns that execution.

        Args:
            workflow: `NAMESPACE/NAME` for the latest version, `NAMESPACE/NAME:VERSION`, or a `Workflow`.
            input: its input; None means `{}`.
            id: an id of your own makes the start safe to repeat: it starts one execution at most.
            tags: names with values to search by.
            wait: seconds to wait for the execution to end.

        Raises:
            NotFound: there is no such workflow.
            Conflict: the id belongs to an execution with another workflow or input.
        """
        ref = named(workflow)
        body = {"input": {} if input is None else input, "id": id, "tags": tags}
        request = Request(
            "POST",
            path_of("workflows", ref.namespace, ref.name, "executions"),
            {"version": ref.version or None, "wait": wait},
            orjson.dumps({name: value for name, value in body.items() if value is not None}),
            safe=id is not None,
            wait=wait or 0.0,
        )
        return Execution.of(*await self._api.answer(request))

    async def execution(self, id: str, *, wait: float | None = None) -> Execution:
        """Returns an execution; with `wait`, as soon as it has ended, or after so many seconds."""
        path = path_of("executions", id)
        request = Request("GET", path, {"wait": wait}, safe=True, wait=wait or 0.0)
        return Execution.of(*await self._api.answer(request))

    async def result(self, id: str, *, timeout: float | None = None) -> Json:  # noqa: ASYNC109 - for one request after another
        """Waits for an execution to end; returns its output.

        Args:
            id: the execution.
            timeout: seconds to wait at most; None waits for as long as it takes.

        Raises:
            ExecutionFaulted: it faulted.
            ExecutionCancelled: it was cancelled.
            NotEnded: it has not ended in time.
        """
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while True:
            left = _WAIT_SECONDS if deadline is None else deadline - loop.time()
            execution = await self.execution(id, wait=min(max(left, 0.0), _WAIT_SECONDS))
            if execution.ended:
                return _output(execution)
            if deadline is not None and loop.time() >= deadline:
                raise NotEnded(execution)
            await short_pause()  # an API that stops answers at once

    async def executions(
        self,
        *,
        status: str | Sequence[str] | None = None,
        workflow: str | Workflow | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        id: str | None = None,
        parent: str | None = None,
        tags: Mapping[str, str] | None = None,
        summary: bool = False,
        page_size: int = 100,
    ) -> AsyncGenerator[Execution, None]:
        """Yields the executions that match all filters, the newest first. Reads a page at a time.

        Args:
            status: a status, or several.
            workflow: `NAMESPACE/NAME` or `NAMESPACE/NAME:VERSION`.
            since: created at this time or later; also an age such as `12h`.
            until: created before this time; also an age.
            id: an id, or the beginning of ids with `*` behind it.
            parent: the execution that started them.
            tags: tags with their values.
            summary: leave out input and output; they are None then. That is faster.
            page_size: executions to read at a time, 1 to 200.
        """
        filters: Parameters = {
            "status": status,
            "workflow": None if workflow is None else str(workflow),
            "since": since.isoformat() if isinstance(since, datetime) else since,
            "until": until.isoformat() if isinstance(until, datetime) else until,
            "id": id,
            "parent": parent,
            "tag": [f"{name}:{value}" for name, value in (tags or {}).items()],
            "view": "summary" if summary else None,
            "limit": page_size,
        }
        async for item in self._pages("executions", filters):
            yield Execution.of(200, item)

    async def counts(self) -> Counts:
        """Returns how many executions are in each status."""
        return Counts.of(await self._get("counts"))

    async def history(self, id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Returns the events of an execution after the one with this number, up to now.

        Args:
            id: the execution.
            after: the number of the last event that you have; 0 begins with the first one.
            limit: how many events at most; None returns all of them.
        """
        items = await self._items("executions", id, "events", after=after, limit=limit)
        return [Event.of(item) for item in items]

    async def events(self, id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """Yields the events of an execution live until it has ended. If the connection breaks, it resumes.

        Args:
            id: the execution.
            after: the number of the last event that you have; 0 begins with the first one.
        """
        path = path_of("executions", id, "events", "stream")
        while (live := await self._api.live(path, {}, str(after))) is not None:
            seen = after
            async with aclosing(live) as frames:
                async for frame in frames:
                    event = Event.of(orjson.loads(frame.data))
                    after = event.seq
                    yield event
            if after == seen:
                await short_pause()

    async def state(self, id: str, *, at: int | None = None) -> Json:
        """Returns the state of an execution after event `at`, by default the last one (docs/api.md)."""
        return await self._get("executions", id, "state", at=at)

    async def execution_diagram(self, id: str, *, at: int | None = None) -> str:
        """Returns the diagram of an execution with the states of its tasks after event `at`, as SVG."""
        path = path_of("executions", id, "diagram")
        return await self._api.text(Request("GET", path, {"at": at}, accept="image/svg+xml", safe=True))

    async def timeline(self, id: str, *, at: int | None = None) -> Timeline:
        """Returns the runs of the tasks of an execution as of event `at`, by default the last one."""
        page = await self._get("executions", id, "timeline", at=at)
        runs = page["items"]
        while page["next"] is not None:  # the same event for all pages, also if there are new ones
            page = await self._get("executions", id, "timeline", at=page["at"], after=int(page["next"]))
            runs += page["items"]
        return Timeline.of(page, runs)

    async def why(self, id: str) -> Why:
        """Returns why an execution waits."""
        return Why.of(await self._get("executions", id, "why"))

    async def cancel(self, id: str, *, reason: str | None = None, wait: float | None = None) -> Execution:
        """Cancels an execution that has not ended.

        Args:
            id: the execution.
            reason: why; the history shows it.
            wait: seconds to wait for the operation to take effect; else it is only requested.

        Raises:
            Conflict: its status does not allow it.
        """
        return await self._operate(id, "cancel", reason, wait)

    async def suspend(self, id: str, *, reason: str | None = None, wait: float | None = None) -> Execution:
        """Suspends an execution that has not ended. As `cancel`."""
        return await self._operate(id, "suspend", reason, wait)

    async def resume(self, id: str, *, reason: str | None = None, wait: float | None = None) -> Execution:
        """Resumes a suspended execution. As `cancel`."""
        return await self._operate(id, "resume", reason, wait)

    async def retry(self, id: str, *, reason: str | None = None, wait: float | None = None) -> Execution:
        """Retries a faulted execution from the task that faulted. As `cancel`."""
        return await self._operate(id, "retry", reason, wait)

    async def _operate(self, id: str, name: str, reason: str | None, wait: float | None) -> Execution:
        parameters: Parameters = {"wait": wait, "reason": reason}
        request = Request("POST", path_of("executions", id, name), parameters, wait=wait or 0.0)
        return Execution.of(*await self._api.answer(request))


def _output(execution: Execution) -> Json:
    if execution.status == "faulted":
        raise ExecutionFaulted(execution)
    if execution.status == "cancelled":
        raise ExecutionCancelled(execution)
    return execution.output
