"""Random executions of random definitions: what is true after every commit (fault-matrix I2-I4)."""

from random import Random
from typing import Any

import pytest
from tests.worker.random_definitions import TEXTS, RandomDefinition
from tests.worker.world import PENDING, World

from unspool.definitions.compile import compile_plan
from unspool.definitions.errors import communication
from unspool.eventstore.records import Message, MessageKind, Status
from unspool.executor.outcome import FetchedText
from unspool.worker.interpreter import State, evolve, run_changes
from unspool.worker.interpreter.live_runs import ManyRuns, children_by_run
from unspool.worker.interpreter.run import Phase, Run
from unspool.worker.interpreter.snapshot import dump_state, load_state
from unspool.worker.replay import verify

RESULTS: tuple[Any, ...] = (None, 1, [1, 2], {"n": 1}, {"n": [1, 2], "x": {"y": 1}}, "text")
OPERATIONS = (MessageKind.SUSPEND, MessageKind.SUSPEND, *(MessageKind.RESUME,) * 4, MessageKind.CANCEL)
REPEATABLE = frozenset(MessageKind) - {*OPERATIONS, MessageKind.RETRY}
MOST_EVENTS = 400
MOST_STEPS = 120
WAITING = frozenset({Phase.AWAITING, Phase.LISTENING, Phase.FETCHING})


class RandomExecution:
    """Sends random messages to an execution: results, events, times, operations and repetitions."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        definition = RandomDefinition(self.chance).make()
        self.world = World(compile_plan(definition, None), lambda _: PENDING)
        self._sent: list[Message] = []

    def drive(self) -> World:
        self._send(MessageKind.START, input=self.chance.choice(RESULTS))
        for _ in range(MOST_STEPS):
            if self._over():
                break
            self.world.now += self.chance.choice((0, 0, 1, 3))
            self._step()
        if self.world.state.status is Status.SUSPENDED:
            self._send(MessageKind.RESUME)
        return self.world

    def _over(self) -> bool:
        if len(self.world.history) > MOST_EVENTS:
            return True
        if self.world.state.status is Status.FAULTED and self.chance.random() < 0.5:
            self._send(MessageKind.RETRY)
        return self.world.state.status.ended and self.chance.random() < 0.7

    def _send(self, kind: MessageKind, **body: Any) -> None:
        message = Message(kind, self.world.execution, body)
        self._sent.append(message)
        self._step_with(message)
        while self.world.inbox and len(self.world.history) <= MOST_EVENTS:  # a decision was cut
            self._step_with(self.world.inbox.pop(0))

    def _step_with(self, message: Message) -> None:
        self.world.step(message)
        check_state(self.world.state)

    def _step(self) -> None:
        steps = [
            each for each in map(self._answer_of, self.world.state.runs.values()) if each is not None
        ] * 3
        steps += [self._fetch] * (3 * bool(self._fetched()))
        steps += [self._pass_time] * (3 * bool(self.world.timers))
        if self.chance.random() < 0.15:
            steps += [self._operate] * 4
        self.chance.choice([*steps, self._repeat])()

    def _answer_of(self, run: Run) -> Any:
        if run.phase is Phase.CONSUMING and run.request:
            return lambda: self._deliver(run)
        if run.request:
            return lambda: self._answer(str(run.request))
        if run.phase is Phase.AWAITING:
            return lambda: self._end_child(run)
        return (lambda: self._publish(run)) if run.phase is Phase.LISTENING else None

    def _answer(self, request: str) -> None:
        result, kind = self.chance.choice(RESULTS), self.chance.random()
        if kind < 0.7:
            self._send(MessageKind.TASK_COMPLETED, run=request, output=result)
        elif kind < 0.9:
            error = {"type": "x:t", "status": self.chance.choice((400, 408, 500))}
            self._send(MessageKind.TASK_FAULTED, run=request, error=error)
        else:
            self._send(MessageKind.TASK_PROGRESSED, run=request, progress=result)

    def _deliver(self, run: Run) -> None:
        if self.chance.random() < 0.15:
            self._send(MessageKind.TASK_COMPLETED, run=run.request, output=None)
            return
        if self.chance.random() < 0.15:
            self._send(MessageKind.TASK_FAULTED, run=run.request, error={"type": "x:b", "status": 500})
            return
        place = self.chance.choice((run.progress.received, run.progress.received, 0))
        messages = self.chance.choices(RESULTS, k=self.chance.randint(1, 3))
        self._send(MessageKind.MESSAGES, run=run.request, place=place, sender="one", messages=messages)

    def _fetched(self) -> list[str]:
        """The requests for external resources that have no answer."""
        return [each.request for each in self.world.state.resources.values() if each.sha256 is None]

    def _fetch(self) -> None:
        wanted = self.chance.choice(self._fetched())
        request = next(each for each in self.world.requests if each.run == wanted)
        text = self.chance.choice((TEXTS[request.arguments["endpoint"]["uri"]],) * 9 + ("[",))
        failed = self.chance.random() < 0.15
        self.world.reply(request, communication("down") if failed else FetchedText(text))
        [message] = self.world.inbox
        self.world.inbox.clear()
        self._send(message.kind, **message.body)

    def _end_child(self, run: Run) -> None:
        how = self.chance.choice((Status.COMPLETED, Status.COMPLETED, Status.FAULTED, Status.CANCELLED, None))
        if how is None:
            self._send(MessageKind.CHILD_JOINED, run=run.id, child=run.child, execution="other")
            return
        results = {
            Status.COMPLETED: {"output": self.chance.choice(RESULTS)},
            Status.FAULTED: {"error": {"type": "x:c", "status": 500}},
        }
        ended = {"run": run.id, "child": run.child, "status": how.value}
        self._send(MessageKind.CHILD_ENDED, **ended, **results.get(how, {}))

    def _publish(self, run: Run) -> None:
        event = {"specversion": "1.0", "id": str(self.chance.random()), "source": "/s"}
        event |= {"type": self.chance.choice("ab"), "data": self.chance.choice(RESULTS)}
        self._send(MessageKind.EVENT, run=run.id, event=event)

    def _pass_time(self) -> None:
        timers = self.world.timers
        earliest = min(timers.values())
        timer = self.chance.choice([id_ for id_, due_at in timers.items() if due_at <= earliest + 5])
        self.world.now = max(self.world.now, timers.pop(timer))
        self._send(MessageKind.TIMER_FIRED, timer=timer)

    def _operate(self) -> None:
        self._send(self.chance.choice(OPERATIONS))

    def _repeat(self) -> None:
        message = self.chance.choice(self._sent)
        if message.kind in REPEATABLE:
            self._send(message.kind, **message.body)


def check_state(state: State) -> None:
    """A state is a tree of runs, and its snapshot is the same."""
    assert all(run.parent in state.runs for run in state.runs.values() if run.parent is not None)
    if isinstance(state.runs, ManyRuns):
        assert sets(state.runs.children) == sets(children_by_run(state.runs.values()))
    assert load_state(dump_state(state)) == state


def sets(children_of: Any) -> dict[str, set[str]]:
    return {parent: set(ids) for parent, ids in children_of.items()}


def check_end(world: World) -> None:
    """Nothing is left of what has ended, and a running execution waits for something."""
    state = world.state
    assert set(world.timers) == set(state.timers)
    listening = {
        run.id for run in state.runs.values() if run.phase is Phase.LISTENING and not run.progress.done
    }
    assert {run for run, entries in world.subscriptions.items() if entries is not None} == listening
    if state.status is Status.RUNNING and not world.inbox:
        assert state.timers or any(run.request or run.phase in WAITING for run in state.runs.values())


def check_history(world: World) -> None:
    """Every prefix folds, the fold is the state, and the interpretation of the history is the history."""
    state = State(world.execution)
    for event in world.history:
        state = evolve(state, event)
    assert state == world.state
    assert verify(world.plan, world.execution, world.history) is None


@pytest.mark.parametrize("part", range(6))
def test_random_executions_keep_the_laws(part, monkeypatch):
    monkeypatch.setattr(run_changes, "FEW_RUNS", 3)  # so that many states have many runs
    for seed in range(part * 10, part * 10 + 10):
        world = RandomExecution(seed).drive()
        check_end(world)
        check_history(world)
