"""Runs cases with the interpreter alone: `decide` and `evolve`, executions in memory, time in jumps.

The handlers of the executor run the tasks, so that a case has one stand-in for all engines.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

from tests.conformance.case import Case, Step
from tests.conformance.outcome import REFUSED, Outcome, event_text
from tests.task_contexts import TextsInMemory, task_context
from tests.worker.event_schedule_world import World as ScheduleWorld
from tests.worker.world import PENDING, World

from unspool.definitions.checks import check
from unspool.definitions.compile import plan_of
from unspool.definitions.document import load
from unspool.definitions.errors import DEFAULT_BASE
from unspool.definitions.expressions import JqPool, source_problems
from unspool.definitions.plan import Plan
from unspool.definitions.problems import DefinitionInvalid, Problem, Severity
from unspool.eventstore.idempotency_keys import IdempotencyKey
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import (
    Commit,
    Definition,
    ExecutionKey,
    Message,
    MessageKind,
    PublishEvent,
    SendMessage,
    StartExecution,
    WorkflowRef,
    start_message,
)
from unspool.eventstore.semver import precedence
from unspool.executor.outcome import Completed, FetchedText, Handler
from unspool.worker.children import Children
from unspool.worker.idempotency_keys import IdempotencyKeys
from unspool.worker.interpreter.decision_builder import SAME_TENANT
from unspool.worker.interpreter.event_index import EventKeys
from unspool.worker.replay import verify

MAIN = "execution"
MAX_DEPTH = 32


@dataclass
class MemoryEngine:
    """Runs cases in memory."""

    jq: JqPool
    handlers: Mapping[str, Handler]
    environment: MutableMapping[str, str]
    """Where the handlers find secrets."""

    async def run(self, case: Case) -> Outcome:
        problems = self._check(case.definition)
        errors = [asdict(each) for each in problems if each.severity is Severity.ERROR]
        warnings = [asdict(each) for each in problems if each.severity is Severity.WARNING]
        if errors:
            return Outcome(REFUSED, problems=errors, warnings=warnings)
        self.environment.clear()
        self.environment.update(case.secrets)
        texts = (case.definition, *case.workflows)
        plans = [plan_of(text, self.jq) for text in texts]
        if case.published:
            return await self._scheduled(case, plans, texts)
        unanswered = frozenset(case.members.get("unanswered", ()))
        running = _Running(self.handlers, plans, texts, self.jq, unanswered)
        main, failed = await running.run(case.input, case.steps)
        return Outcome(
            status=main.state.status.value,
            output=main.state.output,
            error=main.state.error,
            events=_events(main),
            elapsed=main.history[-1].time - main.history[0].time,
            elapsed_exactly=True,
            warnings=warnings,
            failed_steps=failed,
        )

    async def _scheduled(self, case: Case, plans: Sequence[Plan], texts: Sequence[str]) -> Outcome:
        """Runs an execution for each start that the events of a case cause."""
        schedule = ScheduleWorld().deploy(load(case.definition).value["schedule"], jq=self.jq)
        schedule.publish(*map(dict, case.published))
        ended = []
        for start in schedule.starts:
            running = _Running(self.handlers, plans, texts, self.jq, frozenset())
            execution, _ = await running.run(start.input, [])
            ended.append(execution.state)
        faulted = [state for state in ended if state.error is not None]
        return Outcome(
            "faulted" if faulted else "completed",
            error=faulted[0].error if faulted else None,
            outputs=[state.output for state in ended],
        )

    def _check(self, text: str) -> Sequence[Problem]:
        try:
            return check(load(text), expression_problems=partial(source_problems, jq=self.jq))
        except DefinitionInvalid as invalid:
            return invalid.problems


@dataclass
class _Running:
    """One execution with its sub-workflows."""

    handlers: Mapping[str, Handler]
    plans: Sequence[Plan]
    texts: Sequence[str]
    """The texts of the plans."""
    jq: JqPool
    unanswered: frozenset[str]
    """Names of tasks whose requests get no answer."""
    worlds: dict[str, World] = field(default_factory=dict)
    done: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By execution, how many requests were answered and how many outgoing messages delivered."""
    keys: EventKeys = field(default_factory=EventKeys)
    stored: TextsInMemory = field(default_factory=TextsInMemory)
    """The texts that were fetched."""
    holders: dict[IdempotencyKey, str] = field(default_factory=dict)
    """The executions that have idempotency keys."""

    async def run(self, value: object, steps: list[Step]) -> tuple[World, list[str]]:
        """Runs until the execution has ended and every step is done."""
        main = self._add(MAIN, self.plans[0])
        main.inbox.append(Message(MessageKind.START, MAIN, {"input": value}))
        failed: list[str] = []
        seen = 0
        while True:
            await self._settle()
            events = _events(main)
            if steps and steps[0].when in events[seen:]:
                step = steps.pop(0)
                seen = events.index(step.when, seen) + 1
                failed += _perform(step, main)
                for event in step.publish:
                    self._publish(dict(event))
            elif main.state.status.ended:
                break
            else:
                self._fire_next_timer()
        for id_, world in self.worlds.items():
            if world.state.status.ended:
                assert verify(world.plan, id_, world.history) is None
        return main, failed + [f"no event {step.when!r}" for step in steps]

    def _add(self, id_: str, plan: Plan) -> World:
        now = max((world.now for world in self.worlds.values()), default=1_000_000)
        world = World(plan, lambda _: PENDING, id_, now, jq=self.jq)
        self.worlds[id_], self.done[id_] = world, (0, 0)
        return world

    async def _settle(self) -> None:
        """Delivers messages and answers requests until there are none; no time passes."""
        moved = True
        while moved:
            moved = False
            for id_, world in list(self.worlds.items()):
                world.settle()
                moved = await self._deliver(id_, world) or await self._answer(id_, world) or moved

    async def _deliver(self, id_: str, world: World) -> bool:
        """Delivers the starts, messages and events of an execution."""
        answered, delivered = self.done[id_]
        new = tuple(world.outgoing[delivered:])
        if not new:
            return False
        self.done[id_] = answered, len(world.outgoing)
        last = world.history[-1]
        commit = Commit(
            key=ExecutionKey(SAME_TENANT, id_),
            commit_id="commit",
            expected_version=last.seq - 1,
            events=(last,),
            outgoing=new,
        )
        resolved = await Children(self, IdempotencyKeys(self, self.jq), MAX_DEPTH, DEFAULT_BASE).resolve(
            commit
        )
        world.inbox += resolved.messages
        for each in resolved.outgoing:
            if isinstance(each, StartExecution):
                child = self._add(each.start.key.id, self._plan(each.start.workflow))
                child.inbox.append(start_message(each.start))
            elif isinstance(each, PublishEvent):
                self._publish(each.event)
            elif isinstance(each, SendMessage) and each.message.execution in self.worlds:
                self.worlds[each.message.execution].inbox.append(each.message)
        return True

    def _publish(self, event: CloudEvent) -> None:
        """Sends an event to the runs that are subscribed to it."""
        for id_, world in self.worlds.items():
            for run, entries in world.subscriptions.items():
                shapes = tuple(sorted({entry.shape for entry in entries or ()}))
                if {entry.key for entry in entries or ()} & {*self.keys(shapes, event)}:
                    world.inbox.append(Message(MessageKind.EVENT, id_, {"run": run, "event": event}))

    async def resolve(
        self, tenant: str, namespace: str, name: str, version: str | None = None
    ) -> WorkflowRef | None:
        """Returns the workflow of a name, as a store resolves it."""
        versions = [p.version for p in self.plans if (p.namespace, p.name) == (namespace, name)]
        if version is None:
            version = max(versions, key=precedence, default=None)
        return WorkflowRef(namespace, name, version) if version in versions else None

    async def definition(self, tenant: str, namespace: str, name: str, version: str) -> Definition:
        """Returns the definition of a plan."""
        ref = WorkflowRef(namespace, name, version)
        return Definition(ref, self.texts[self.plans.index(self._plan(ref))], 0)

    async def claim_key(self, key: IdempotencyKey, execution: str, instead_of: object = None) -> str:
        """Returns the execution that has a key. A key is never free again here."""
        return self.holders.setdefault(key, execution)

    def _plan(self, ref: WorkflowRef) -> Plan:
        return next(p for p in self.plans if WorkflowRef(p.namespace, p.name, p.version) == ref)

    async def _answer(self, id_: str, world: World) -> bool:
        """Answers the next request of an execution."""
        answered, delivered = self.done[id_]
        if answered == len(world.requests):
            return False
        request = world.requests[answered]
        self.done[id_] = answered + 1, delivered
        if request.run not in world.withdrawn and request.task.rpartition("/")[2] not in self.unanswered:
            outcome = await self.handlers[request.kind](request, task_context(self.stored))
            if isinstance(outcome, FetchedText):
                await self.stored.put_text(SAME_TENANT, outcome.text)
                outcome = Completed(world.fetched(request, outcome.text))
            world.inbox.append(outcome.message(request))
        return True

    def _fire_next_timer(self) -> None:
        due = [(at, id_, timer) for id_, world in self.worlds.items() for timer, at in world.timers.items()]
        assert due, f"the execution does not go on after {_events(self.worlds[MAIN])}"
        at, id_, timer = min(due)
        for world in self.worlds.values():
            world.now = max(world.now, at)
        del self.worlds[id_].timers[timer]
        self.worlds[id_].inbox.append(Message(MessageKind.TIMER_FIRED, id_, {"timer": timer}))


def _perform(step: Step, main: World) -> list[str]:
    phase = main.state.status_phase.value
    if step.do is not None:
        main.inbox.append(Message(MessageKind(step.do), MAIN, {}))
    return [f"status after {step.when!r}: {phase}"] if step.status not in {None, phase} else []


def _events(world: World) -> list[str]:
    return [event_text(event.type, event.task) for event in world.history]
