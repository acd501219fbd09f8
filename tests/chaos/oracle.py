"""Checks that hold for every execution, with all faults."""

from collections import Counter
from collections.abc import Mapping

from unspool.definitions.plan import Plan
from unspool.eventstore.events import Event
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey
from unspool.worker.interpreter import State
from unspool.worker.interpreter.snapshot import dump_state, load_state
from unspool.worker.replay import state_at, verify

ENDS = {"task.completed", "task.faulted", "task.cancelled"}
RECEIVED = "event.received"
CORRELATION = {"workflow.correlation-started", "workflow.correlation-completed"}

ALL_ENTRIES = 100_000


async def check_execution(
    store: EventStore, key: ExecutionKey, plan: Plan, arrivals: Mapping[str, int], end: str
) -> list[Event]:
    """Checks one ended execution; returns its history.

    Args:
        store: where it is.
        key: its key.
        plan: what it ran with.
        arrivals: when the service got the first request with an idempotency key, milliseconds since 1970.
        end: type of its last event.
    """
    history = await store.history(key)
    check_history(history, end)
    check_times(key, history, arrivals)
    await check_snapshot(store, key, history)
    assert verify(plan, key.id, history) is None
    record = await store.execution(key)
    assert record is not None
    assert record.version == history[-1].seq
    assert end == f"workflow.{record.status.value}"
    return history


def check_history(history: list[Event], end: str) -> None:
    """Checks that events are numbered without gaps, and that runs, timers and events end or come once."""
    assert [event.seq for event in history] == list(range(1, len(history) + 1))
    ends = Counter(event.run for event in history if event.type in ENDS)
    assert set(ends.values()) <= {1}
    fired = Counter(event.data["timer"] for event in history if event.type == "timer.fired")
    assert set(fired.values()) <= {1}
    received = Counter((event.run, event.data["event"]["id"]) for event in history if event.type == RECEIVED)
    assert set(received.values()) <= {1}
    steps = [event.type for event in history if event.type.startswith("workflow.")]
    assert [step for step in steps if step not in CORRELATION] == ["workflow.started", end]
    assert history[-1].type == end


def check_times(key: ExecutionKey, history: list[Event], arrivals: Mapping[str, int]) -> None:
    """Checks that no timer fires early, by the history and by the request that follows it."""
    due = {event.data["timer"]: event.data["dueAt"] for event in history if event.type == "timer.scheduled"}
    for place, event in enumerate(history):
        if event.type != "timer.fired":
            continue
        due_at = due[event.data["timer"]]
        assert event.time >= due_at
        following = next((later for later in history[place:] if later.type == "task.requested"), None)
        if following is not None:
            arrived = arrivals.get(f"{key.id}/{following.run}", due_at)
            assert arrived >= due_at, f"{following.task} of {key.id} ran {due_at - arrived} ms early"


async def check_snapshot(store: EventStore, key: ExecutionKey, history: list[Event]) -> None:
    """Checks that a snapshot is the fold of the history up to its version."""
    [loaded] = await store.load([key], ALL_ENTRIES)
    assert loaded is not None
    if loaded.snapshot is not None:
        assert loaded.snapshot.version <= history[-1].seq
        state = load_state(loaded.snapshot.state)
        assert state is not None
        assert state == comparable(state_at(key.id, history, loaded.snapshot.version))


def comparable(state: State) -> State | None:
    """Returns a state as a snapshot holds it: JSON has no tuples."""
    return load_state(dump_state(state))
