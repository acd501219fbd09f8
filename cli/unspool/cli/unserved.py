"""The tasks of an execution that wait for an executor while none serves them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from unspool.definitions import resource
from unspool.definitions.function_name import RegisteredName
from unspool.definitions.json_value import Json
from unspool.definitions.tasks import call_registered
from unspool.eventstore.events import Event
from unspool.eventstore.functions import RegisteredFunction

RUN_ENDED: Final = frozenset({"task.completed", "task.faulted", "task.cancelled", "workflow.retried"})
"""Events after which a run has no request any more."""

_REQUESTED: Final = frozenset({"task.requested", "resource.requested"})
_ANSWERED: Final = RUN_ENDED | {"resource.fetched", "resource.faulted", "subscription.completed"}


def unserved(
    history: Sequence[Event], functions: Sequence[RegisteredFunction], queues: Counter[str], now: int
) -> list[Json]:
    """Returns the tasks that wait for an executor, and what no living executor serves.

    Args:
        history: of one execution.
        functions: those that executors have registered.
        queues: the queues that living executors serve, with their number.
        now: milliseconds since 1970, by the store's clock.
    """
    served = [each for each in functions if each.is_live(now) and queues[each.queue]]
    return [
        {"task": event.task, "waitsFor": f"no living executor for {missing}"}
        for event in _requests(history)
        if (missing := _missing(event, served, queues)) is not None
    ]


def _requests(history: Sequence[Event]) -> Iterable[Event]:
    """Returns the newest request of each run, and that of each resource, that has no result yet."""
    requests: dict[tuple[str, Json], Event] = {}
    for event in history:
        of_resource = event.type.startswith("resource.")
        key = ("resource", event.data["resource"]) if of_resource else ("run", event.run)
        if event.type in _REQUESTED:
            requests[key] = event
        elif event.type in _ANSWERED:
            requests.pop(key, None)
    return requests.values()


def _missing(event: Event, served: Sequence[RegisteredFunction], queues: Counter[str]) -> str | None:
    """Returns the function or the queue of a request that no executor serves; None if one does."""
    queue = resource.QUEUE if event.type == "resource.requested" else event.data["queue"]
    if queue != call_registered.KIND:
        return None if queues[queue] else f"the queue {queue}"
    arguments = event.data["arguments"]
    function = RegisteredName(arguments["name"], arguments.get("version"))
    found = any(each.name == function.name and function.version in {None, each.version} for each in served)
    return None if found else f"the function {function}"
