"""What a history says about the sub-workflows of its execution."""

from collections.abc import Sequence

from unspool.eventstore.events import Event


def children(history: Sequence[Event]) -> list[str]:
    """The executions that an execution has started or joined, in order.

    A sub-workflow that could not start, because its workflow is unknown for example, is no execution. The
    error of its task says why.
    """
    failed = {event.run for event in history if could_not_start(event)}
    joined = [event.data for event in history if event.type == "child.joined"]
    instead: dict[str, str] = {each["child"]: each["execution"] for each in joined}
    started = [event for event in history if event.type == "child.started" and event.run not in failed]
    ids: list[str] = [event.data["child"] for event in started]
    return [instead.get(id_, id_) for id_ in ids]


def could_not_start(event: Event) -> bool:
    """Whether an event ends the run of a sub-workflow that could not start."""
    return event.type == "task.faulted" and event.data.get("ended", {}).get("started") is False
