"""Routes calls of functions to the queues of the executors that have them.

The interpreter requests a function by its name. After the decision and before the commit, the worker looks up
the name in what executors have registered, as `children.py` does for sub-workflows. A function that no
executor has registered becomes a `task.faulted` message to the execution itself, so a replay sees no
difference.

A function of the default catalog is looked up too, before an executor would fetch its definition. If
executors have registered it, its definition is a call of it: the worker stores this text, and sends its hash
as the one of a fetched text.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

import orjson

from unspool.definitions import errors, resource
from unspool.definitions.errors import WorkflowError
from unspool.definitions.function_name import CatalogedFunction, of_default_catalog
from unspool.definitions.spelling import did_you_mean, shown
from unspool.definitions.tasks import call_registered
from unspool.definitions.tasks.request import KIND
from unspool.eventstore.functions import RegisteredFunction
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Commit, Message, MessageKind, TaskRequest
from unspool.eventstore.semver import order

_FRESH_SECONDS: Final = 5.0
"""After this time the functions are read again, while the known ones are still used."""

_STALE_SECONDS: Final = 30.0
"""After this time the known functions are not used any more."""

_PAUSE_SECONDS: Final = 0.2
"""Least time between two reads because of functions that are not known."""

_MOST_NAMED: Final = 10
"""Functions that an error names."""

ROUTED_QUEUES: Final = frozenset({call_registered.KIND, resource.QUEUE})
"""The queues of tasks that may be calls of functions."""


class FunctionRoutes:
    """The functions that executors have registered, as this worker knows them."""

    def __init__(self, store: EventStore, now: Callable[[], int], error_base: str) -> None:
        """Takes the store's clock, and the base of the types of errors."""
        self._store = store
        self._now = now
        self._error_base = error_base
        self._by_name: Mapping[str, list[RegisteredFunction]] = {}
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None

    def at_once(self, commit: Commit) -> Commit | None:
        """The commit with the queues of its calls; None if something must be read first."""
        if not any(task.queue in ROUTED_QUEUES for task in commit.tasks):
            return commit
        if self._age() > _STALE_SECONDS:
            return None
        if self._age() > _FRESH_SECONDS:
            self._begin_reading()
        known = not any(self._is_missing(task) or self._of_catalog(task) for task in commit.tasks)
        return self._routed(commit, {}) if known else None

    async def route(self, commit: Commit) -> Commit:
        """The same; reads what is not known."""
        if not any(task.queue in ROUTED_QUEUES for task in commit.tasks):
            return commit
        if self._age() > _FRESH_SECONDS or any(self._is_missing(task) for task in commit.tasks):
            await self._read_again()
        texts = {task.run: text for task in commit.tasks if (text := self._definition_of(task)) is not None}
        hashes = {run: await self._store.put_text(commit.key, text) for run, text in texts.items()}
        return self._routed(commit, hashes)

    # -- the functions

    def _age(self) -> float:
        return float("inf") if self._read_at is None else time.monotonic() - self._read_at

    def _begin_reading(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(_ignore_failure)
        return self._reading

    async def _read_again(self) -> None:
        """Reads the functions; many calls share a read that begins after them."""
        if self._reading is not None and not self._reading.done():
            # It may have begun before a registration that this call can rely on.
            await asyncio.wait({self._reading})
        await asyncio.sleep(_PAUSE_SECONDS - self._age())
        await asyncio.shield(self._begin_reading())

    async def _read(self) -> None:
        by_name: defaultdict[str, list[RegisteredFunction]] = defaultdict(list)
        for each in await self._store.functions():
            by_name[each.name].append(each)
        self._by_name = by_name
        self._read_at = time.monotonic()

    def _found(self, name: str, version: str | None) -> RegisteredFunction | None:
        """The function of a version. Without one: the highest that has a live executor, if there is any."""
        functions = [each for each in self._by_name.get(name, ()) if version in {None, each.version}]
        now = self._now()
        return max(
            functions,
            key=lambda each: (each.is_live(now), order(each.version), each.registered_at),
            default=None,
        )

    # -- tasks

    def _is_missing(self, task: TaskRequest) -> bool:
        if task.queue == call_registered.KIND:
            return self._found(task.arguments["name"], task.arguments.get("version")) is None
        return False

    def _of_catalog(self, task: TaskRequest) -> CatalogedFunction | None:
        """The function of the default catalog that a task would fetch, if executors have registered it."""
        if task.queue != resource.QUEUE:
            return None
        function = of_default_catalog(task.arguments["endpoint"]["uri"])
        return None if function is None or self._found(function.name, function.version) is None else function

    def _definition_of(self, task: TaskRequest) -> str | None:
        """The definition of the function of the default catalog that a task would fetch: a call of it."""
        function = self._of_catalog(task)
        if function is None:
            return None
        return orjson.dumps({"call": f"{function.name}:{function.version}"}).decode()

    def _routed(self, commit: Commit, hashes: Mapping[str, str]) -> Commit:
        """The commit with the queues of its calls.

        Takes the hashes of the definitions of the default catalog that are stored, by the runs of the tasks.
        """
        routed = [self._of_task(task, hashes.get(task.run)) for task in commit.tasks]
        tasks = tuple(each for each in routed if isinstance(each, TaskRequest))
        messages = tuple(each for each in routed if isinstance(each, Message))
        return replace(commit, tasks=tasks, messages=(*commit.messages, *messages))

    def _of_task(self, task: TaskRequest, sha256: str | None) -> TaskRequest | Message:
        if task.queue == call_registered.KIND:
            name, version = task.arguments["name"], task.arguments.get("version")
            function = self._found(name, version)
            if function is None:
                return _faulted(task, self._unknown(name, version).under(self._error_base))
            chosen = {KIND: call_registered.KIND, call_registered.CHOSEN: function.version}
            return task._replace(queue=function.queue, arguments={**task.arguments, **chosen})
        if sha256 is None:
            return task
        output = {"sha256": sha256}
        return Message(MessageKind.TASK_COMPLETED, task.execution, {"run": task.run, "output": output})

    def _unknown(self, name: str, version: str | None) -> WorkflowError:
        versions = sorted((each.version for each in self._by_name.get(name, ())), key=order, reverse=True)
        if versions:
            detail = (
                f"no executor has registered version {shown(version)} of the function '{name}'; registered"
            )
            detail += f" are {_listed(dict.fromkeys(versions))}"
        elif self._by_name:
            meant = did_you_mean(name, self._by_name)
            detail = f"no executor has registered a function '{shown(name)}'{meant}; registered are"
            detail += f" {_listed(sorted(self._by_name))}"
        else:
            detail = f"no executor has registered a function '{shown(name)}', or any other one"
        return errors.configuration(detail, title="Unknown function")


def _listed(names: Iterable[str]) -> str:
    some = list(names)
    more = f" and {len(some) - _MOST_NAMED} more" if len(some) > _MOST_NAMED else ""
    return ", ".join(some[:_MOST_NAMED]) + more


def _faulted(task: TaskRequest, error: WorkflowError) -> Message:
    return Message(MessageKind.TASK_FAULTED, task.execution, {"run": task.run, "error": error.to_json()})


def _ignore_failure(reading: asyncio.Task[None]) -> None:
    """A read in the background may fail: the next one is awaited, and reports it."""
    if not reading.cancelled():
        reading.exception()
