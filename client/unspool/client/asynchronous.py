"""The asynchronous client."""

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

import orjson

from unspool.client.connection import Connection, Parameters, Request, path_of
from unspool.client.errors import ExecutionCancelled, ExecutionFaulted, NotEnded
from unspool.client.records import (
    CreatedKey,
    DeadLetter,
    Event,
    Execution,
    Json,
    Key,
    Schedule,
    Why,
    Workflow,
)

DEFAULT_URL: Final = "http://127.0.0.1:8080"

_WAIT_SECONDS: Final = 30.0
"""The longest wait of one request: proxies cut connections on which nothing happens."""


class AsyncClient:
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

    # -- workflows

    async def deploy(self, definition: str | bytes | Mapping[str, Json]) -> Workflow:
        """Stores a definition: YAML or JSON as text, or a document. The same text can be stored again.

        Raises:
            Invalid: it is not valid; `document["errors"]` lists why.
            Conflict: the version exists with another text.
        """
        if isinstance(definition, str):
            definition = definition.encode()
        if isinstance(definition, bytes):
            body, kind = definition, "application/yaml"
        else:
            body, kind = orjson.dumps(definition), "application/json"
        return Workflow.of(
            await self._api.json(Request("POST", path_of("workflows"), {}, body, kind, safe=True))
        )

    async def workflows(self) -> list[Workflow]:
        """Lists all versions of all workflows."""
        return [Workflow.of(item) for item in await self._items("workflows")]

    async def versions(self, workflow: str) -> list[Workflow]:
        """Lists the versions of one workflow, `NAMESPACE/NAME`, ascending."""
        named = _workflow(workflow)
        return [Workflow.of(item) for item in await self._items("workflows", named.namespace, named.name)]

    async def definition(self, workflow: str | Workflow) -> str:
        """Returns the text of a definition as it was deployed; without a version, of the latest."""
        named = _workflow(workflow)
        path = path_of("workflows", named.namespace, named.name, named.version or "latest")
        return await self._api.text(Request("GET", path, accept="application/yaml", safe=True))

    # -- executions

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
        named = _workflow(workflow)
        body = {"input": {} if input is None else input, "id": id, "tags": tags}
        request = Request(
            "POST",
            path_of("workflows", named.namespace, named.name, "executions"),
            {"version": named.version or None, "wait": wait},
            orjson.dumps({name: value for name, value in body.items() if value is not None}),
            safe=id is not None,
            wait=wait or 0.0,
        )
        return Execution.of(await self._api.json(request))

    async def execution(self, id: str, *, wait: float | None = None) -> Execution:
        """Returns an execution; with `wait`, as soon as it has ended, or after so many seconds."""
        path = path_of("executions", id)
        request = Request("GET", path, {"wait": wait}, safe=True, wait=wait or 0.0)
        return Execution.of(await self._api.json(request))

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
            await _short_pause()  # an API that stops answers at once

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
            "limit": page_size,
        }
        async for item in self._pages("executions", filters):
            yield Execution.of(item)

    async def history(self, id: str, *, after: int = 0) -> list[Event]:
        """Returns the events of an execution after the one with this number, up to now."""
        items = await self._items("executions", id, "events", after=after)
        return [Event.of(item) for item in items]

    async def events(self, id: str, *, after: int = 0) -> AsyncGenerator[Event, None]:
        """Yields the events of an execution live until it has ended. If the connection breaks, it resumes.

        Args:
            id: the execution.
            after: the number of the last event that you have; 0 begins with the first one.
        """
        path = path_of("executions", id, "events", "stream")
        while (live := await self._api.live(path, str(after))) is not None:
            seen = after
            async with aclosing(live) as frames:
                async for data in frames:
                    event = Event.of(orjson.loads(data))
                    after = event.seq
                    yield event
            if after == seen:
                await _short_pause()

    async def state(self, id: str, *, at: int | None = None) -> Json:
        """Returns the state of an execution after event `at`, by default the last one (docs/api.md)."""
        return await self._get("executions", id, "state", at=at)

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

    # -- events, schedules

    async def publish(self, *events: Mapping[str, Json]) -> int:
        """Publishes CloudEvents, all or none; returns how many were accepted.

        An event without `specversion` gets `1.0`, one without `id` a random one.

        Raises:
            Invalid: an event is not valid.
        """
        whole = [{"specversion": "1.0", "id": str(uuid4()), **event} for event in events]
        kind = "application/cloudevents-batch+json"
        request = Request("POST", path_of("events"), {}, orjson.dumps(whole), kind, safe=True)
        accepted: int = (await self._api.json(request))["accepted"]
        return accepted

    async def schedules(self) -> list[Schedule]:
        """Lists the schedules of the deployed workflows."""
        return [Schedule.of(item) for item in await self._items("schedules")]

    async def pause_schedule(self, id: str, *, wait: float | None = None) -> Schedule:
        """Pauses a schedule; with `wait`, waits so many seconds for it to take effect."""
        return Schedule.of(await self._post("schedules", id, "pause", wait=wait))

    async def resume_schedule(self, id: str, *, wait: float | None = None) -> Schedule:
        """Continues a paused schedule; with `wait`, waits so many seconds for it to take effect."""
        return Schedule.of(await self._post("schedules", id, "resume", wait=wait))

    # -- operation

    async def dead_letters(self, *, execution: str | None = None) -> AsyncGenerator[DeadLetter, None]:
        """Yields the dead letters, of all executions or of one, the oldest first."""
        async for item in self._pages("dlq", {"execution": execution}):
            yield DeadLetter.of(item)

    async def dead_letter(self, id: str) -> DeadLetter:
        """Returns a dead letter with its original and traceback."""
        return DeadLetter.of(await self._get("dlq", id))

    async def requeue(self, id: str) -> None:
        """Puts the original of a dead letter back into its queue."""
        await self._post("dlq", id, "requeue")

    async def discard(self, id: str) -> None:
        """Deletes a dead letter."""
        await self._api.json(Request("DELETE", path_of("dlq", id)))

    async def keys(self) -> list[Key]:
        """Lists the API keys."""
        return [Key.of(item) for item in await self._items("keys")]

    async def create_key(
        self, name: str, scopes: Sequence[str], *, expires_at: datetime | None = None
    ) -> CreatedKey:
        """Creates an API key of this tenant. Only this answer has its token."""
        members = {"name": name, "scopes": list(scopes), "expiresAt": expires_at and expires_at.isoformat()}
        made = await self._api.json(Request("POST", path_of("keys"), {}, orjson.dumps(members)))
        return CreatedKey(Key.of(made), made["key"])

    async def revoke_key(self, id: str) -> None:
        """Revokes an API key."""
        await self._api.json(Request("DELETE", path_of("keys", id)))

    # -- requests

    async def _get(self, *segments: str, **parameters: int | None) -> Json:
        return await self._api.json(Request("GET", path_of(*segments), parameters, safe=True))

    async def _items(self, *segments: str, **parameters: int | None) -> list[Json]:
        items: list[Json] = (await self._get(*segments, **parameters))["items"]
        return items

    async def _post(self, *segments: str, wait: float | None = None, reason: str | None = None) -> Json:
        parameters: Parameters = {"wait": wait, "reason": reason}
        return await self._api.json(Request("POST", path_of(*segments), parameters, wait=wait or 0.0))

    async def _operate(self, id: str, name: str, reason: str | None, wait: float | None) -> Execution:
        return Execution.of(await self._post("executions", id, name, wait=wait, reason=reason))

    async def _pages(self, name: str, filters: Parameters) -> AsyncGenerator[Json, None]:
        cursor: str | None = None
        while True:
            page = await self._api.json(
                Request("GET", path_of(name), {**filters, "cursor": cursor}, safe=True)
            )
            for item in page["items"]:
                yield item
            cursor = page["next"]
            if cursor is None:
                return


def _workflow(workflow: str | Workflow) -> Workflow:
    """Reads `NAMESPACE/NAME` or `NAMESPACE/NAME:VERSION`; the version is empty without one."""
    if isinstance(workflow, Workflow):
        return workflow
    path, _, version = workflow.partition(":")
    namespace, slash, name = path.partition("/")
    if not (namespace and slash and name):
        raise ValueError(f"{workflow!r} is not NAMESPACE/NAME or NAMESPACE/NAME:VERSION")
    return Workflow(namespace, name, version)


def _output(execution: Execution) -> Json:
    if execution.status == "faulted":
        raise ExecutionFaulted(execution)
    if execution.status == "cancelled":
        raise ExecutionCancelled(execution)
    return execution.output


async def _short_pause() -> None:
    await asyncio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - spreads requests
