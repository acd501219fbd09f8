"""Executions, events and dead letters as the JSON of the public contract, for API and CLI."""

import asyncio
from typing import Final

import orjson

from unspool.definitions.json_value import Json
from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.errors import CorruptHistory, KeyMissing, NotFound
from unspool.eventstore.events import Event
from unspool.eventstore.functions import RegisteredFunction
from unspool.eventstore.operations import LiveConsumer
from unspool.eventstore.port import Histories
from unspool.eventstore.records import ExecutionRecord, Message, Parent, Status, WorkflowRef
from unspool.worker.schedule.operations import id_of
from unspool.worker.schedule.state import ScheduleState

GONE: Final = "the execution no longer exists"


def execution_json(
    record: ExecutionRecord, input_: Json, by: str | None, ending: Event | None
) -> dict[str, Json]:
    """Returns an execution as JSON.

    Args:
        record: its record in the index.
        input_: the workflow's raw input.
        by: who started it, if a caller did.
        ending: the event that ended it, if it has ended. `output` is present only if it completed, `error`
            only if it faulted.
    """
    described = {
        "id": record.key.id,
        "workflow": record.workflow._asdict(),
        "status": record.status.value,
        "input": input_,
        "createdAt": rfc3339(record.created_at),
        "startedAt": _time(record.started_at),
        "endedAt": _time(record.ended_at) if record.status.ended else None,
        "parent": _parent_json(record.parent),
        "by": by,
        "tags": dict(record.tags),
        "tenant": record.key.tenant,
    }
    if ending is not None and record.status is Status.COMPLETED:
        described["output"] = ending.data["output"]
    if ending is not None and record.status is Status.FAULTED:
        described["error"] = ending.data["error"]
    return described


def _parent_json(parent: Parent | None) -> dict[str, Json] | None:
    """Returns the parent; None if it is a schedule, which callers cannot read as an execution."""
    if parent is None or is_built_in(parent.execution):
        return None
    return {"execution": parent.execution, "run": parent.run}


def schedule_json(state: ScheduleState) -> dict[str, Json]:
    """Returns a schedule as JSON."""
    return {
        "id": id_of(state),
        "workflow": None if state.workflow is None else state.workflow._asdict(),
        "schedule": state.schedule,
        "paused": state.paused,
        "next": _time(state.next),
        "last": _time(state.last),
        "lastExecution": state.last_execution,
        "missed": None if state.missed is None else _missed(*state.missed),
        **({} if state.pause is None else {"pause": {**state.pause, "at": _time(state.pause["at"])}}),
    }


def _missed(first: int, before: int) -> dict[str, Json]:
    return {"from": _time(first), "before": _time(before)}


def function_json(function: RegisteredFunction, executors: int, now: int) -> dict[str, Json]:
    """Returns a function of executors as JSON.

    Args:
        function: what was registered.
        executors: the live executors that serve its queue.
        now: milliseconds since 1970, by the store's clock.
    """
    return {
        "name": function.name,
        "version": function.version,
        "queue": function.queue,
        "executors": executors if function.is_live(now) else 0,
        "input": function.input_schema,
        "output": function.output_schema,
        "registeredAt": rfc3339(function.registered_at),
    }


def dead_letter_json(letter: DeadLetter, *, whole: bool = False) -> dict[str, Json]:
    """Returns a dead letter as JSON; with `whole`, also the original body and the traceback."""
    rest = {"body": letter.body._asdict(), "traceback": letter.traceback} if whole else {}
    return {
        "id": letter.id,
        "execution": letter.body.execution,
        "kind": "message" if isinstance(letter.body, Message) else "task",
        "error": letter.error,
        "attempts": letter.attempts,
        "buriedAt": rfc3339(letter.moved_at),
        **rest,
    }


def service_json(consumer: LiveConsumer) -> dict[str, Json]:
    """Returns a service that is alive as JSON."""
    process = consumer.process
    return {
        "service": consumer.service,
        "name": consumer.name,
        "version": process and process.version,
        "host": process and process.host,
        "pid": process and process.pid,
        "startedAt": process and rfc3339(process.started_at),
        "load": consumer.load.value,
        "used": consumer.capacity.used,
        "capacity": consumer.capacity.most,
        "queues": list(consumer.queues),
        "missingKeys": list(consumer.keys.missing),
    }


async def describe(store: Histories, record: ExecutionRecord) -> dict[str, Json]:
    """Returns an execution as JSON. Reads input, and output or error, from its history.

    Raises:
        NotFound: it was deleted after its record was read.
    """
    start, ending = await asyncio.gather(_start_of(store, record), _ending_of(store, record))
    return execution_json(record, start.get("input"), start.get("by"), ending)


async def summarize(store: Histories, record: ExecutionRecord) -> dict[str, Json]:
    """Returns an execution as JSON without what its history has. Reads only the error of a faulted one."""
    ending = await _ending_of(store, record) if record.status is Status.FAULTED else None
    described = execution_json(record, None, None, ending)
    del described["input"], described["by"]
    return described


async def listed(
    store: Histories, record: ExecutionRecord, *, summary: bool = False
) -> dict[str, Json] | None:
    """Returns an execution as an item of a list, which one that cannot be read must not break.

    Such an item has an `error` of the status 503 or 500, and no input or output. Returns None if the
    execution was deleted after its record was read.
    """
    try:
        return await (summarize if summary else describe)(store, record)
    except NotFound:
        return None
    except (KeyMissing, CorruptHistory) as problem:
        missing = isinstance(problem, KeyMissing)
        status, detail = (503, str(problem)) if missing else (500, "the stored history is damaged")
        described = execution_json(record, None, None, None)
        if summary:
            del described["input"], described["by"]
        error = {"type": "about:blank", "title": "Not readable", "status": status, "detail": detail}
        return {**described, "error": error}


async def input_of(store: Histories, record: ExecutionRecord) -> Json:
    """Returns the raw input of an execution."""
    return (await _start_of(store, record)).get("input")


async def _start_of(store: Histories, record: ExecutionRecord) -> dict[str, Json]:
    """Returns the data of the first event; only the input while a worker has not begun the execution."""
    if record.version == 0:
        return {"input": record.pending_input}
    return (await _event(store, record, 1)).data


async def start_conflict(
    store: Histories, record: ExecutionRecord, workflow: WorkflowRef, version: str | None, input_: Json
) -> str | None:
    """Returns how an existing execution differs from the one to start under its id; None if it is the same.

    Raises `NotFound` if it was deleted after its record was read.

    The text completes "that id belongs to …".

    Args:
        store: the store of the execution.
        record: the existing execution.
        workflow: the workflow to start.
        version: the version that the caller named; if none or `latest`, the version may differ.
        input_: the input to start with.
    """
    if version in {None, "", "latest"}:
        workflow = workflow._replace(version=record.workflow.version)
    if record.workflow != workflow:
        return f"an execution of {record.workflow}"
    if _canonical(await input_of(store, record)) != _canonical(input_):
        return "an execution with another input"
    return None


def _canonical(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


async def _ending_of(store: Histories, record: ExecutionRecord) -> Event | None:
    # Not the newest event: it can belong to a retry that began after the record was read.
    return await _event(store, record, record.version) if record.status.ended else None


async def _event(store: Histories, record: ExecutionRecord, seq: int) -> Event:
    found = await store.history(record.key, after=seq - 1, limit=1)
    if not found:
        raise NotFound(GONE)
    return found[0]


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else rfc3339(milliseconds)
