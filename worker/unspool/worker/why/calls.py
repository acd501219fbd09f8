"""Reasons of tasks that wait for executors: a result, a limit, or an executor that lives."""

from typing import Final

from unspool.definitions import resource
from unspool.definitions.function_name import RegisteredName
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.definitions.tasks import call_registered
from unspool.definitions.tasks.request import KIND
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.events import Event
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.state import Purpose, State
from unspool.worker.why.attempts import attempt_of
from unspool.worker.why.facts import Facts, Reason, shown

_LIMITS: Final = frozenset({Purpose.TIMEOUT, Purpose.ATTEMPT, Purpose.LIFETIME})


def call_reason(plan: Plan, state: State, run: Run, facts: Facts) -> Reason:
    """Returns why a run waits for the result of an executor."""
    request = _request(run, facts)
    what = _what(request)
    members: dict[str, Json] = {"call": what, **_since(run, request)}
    attempt = attempt_of(plan, state, run, facts)
    said = ""
    if attempt is not None:
        members |= attempt.facts()
        said = f", in {attempt.text}{attempt.after}"
    said += _ends(state, run, members)
    parked = run.reported.get("waitsFor") if isinstance(run.reported, dict) else None
    missing = missing_executor(request, facts)
    if missing is not None:
        members |= {"missing": missing}
        return Reason("executor", run.task, f"waits: no live executor serves {missing}{said}", members)
    if parked is not None:
        members |= {"waitsFor": parked}
        return Reason("limit", run.task, f"waits, its executor says, for {shown(parked)}{said}", members)
    if request is not None:
        members |= {"executors": _executors(request, facts)}
    kind, awaited = ("message", "messages from") if run.phase == "consuming" else ("call", "the result of")
    since = f" since {members['since']}" if members.get("since") else ""
    return Reason(kind, run.task, f"waits for {awaited} {what}{since}{said}", members)


def resource_reason(state: State, run: Run, facts: Facts) -> Reason:
    """Returns why a run waits for an external resource."""
    keys = [key for key, each in state.resources.items() if run.id in each.waiting and each.sha256 is None]
    names: list[Json] = [shown(key) for key in sorted(keys)]
    text = f"waits for the external resource {', '.join(map(str, names))}"
    members: dict[str, Json] = {"resources": names}
    if not facts.queues[resource.QUEUE]:
        members["missing"] = f"the queue {resource.QUEUE}"
        text += f": no live executor serves {members['missing']}"
    return Reason("resource", run.task, text, members)


def missing_executor(request: Event | None, facts: Facts) -> str | None:
    """Returns the function or the queue of a request that no live executor serves; None if one does."""
    if request is None:
        return None
    queue = str(request.data["queue"])
    if queue != call_registered.KIND:
        return None if facts.queues[queue] else f"the queue {queue}"
    name = _function(request)
    served = any(
        each.name == name.name and name.version in {None, each.version} and facts.queues[each.queue]
        for each in facts.functions
        if each.is_live(facts.now)
    )
    return None if served else f"the function {name}"


def _request(run: Run, facts: Facts) -> Event | None:
    requests = (each for each in reversed(facts.history) if each.type == "task.requested")
    return next((each for each in requests if each.run == run.id), None)


def _what(request: Event | None) -> str:
    if request is None:
        return "its call"
    if request.data["queue"] == call_registered.KIND:
        return f"the function {_function(request)}"
    kind = request.data["arguments"].get(KIND, request.data["queue"])
    return f"its {kind} {'command' if kind in _PROCESSES else 'call'}"


_PROCESSES: Final = frozenset({"shell", "script", "container"})


def _function(request: Event) -> RegisteredName:
    arguments = request.data["arguments"]
    return RegisteredName(arguments["name"], arguments.get("version"))


def _executors(request: Event, facts: Facts) -> int:
    return facts.queues[str(request.data["queue"])]


def _since(run: Run, request: Event | None) -> dict[str, Json]:
    time = run.started_at if request is None else request.time
    return {"since": None if time is None else rfc3339(time)}


def _ends(state: State, run: Run, members: dict[str, Json]) -> str:
    """A clause with the time limit of a run or of what is around it; adds it to the members."""
    around, runs = {run.id}, run
    while runs.parent is not None:
        runs = state.runs[runs.parent]
        around.add(runs.id)
    limits = [each.due_at for each in state.timers.values() if each.purpose in _LIMITS and each.run in around]
    if not limits:
        return ""
    members["timeoutAt"] = rfc3339(min(limits))
    return f", at most until {members['timeoutAt']}"
