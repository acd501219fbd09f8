"""A workflow in a unit test."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import partial
from math import inf
from os import PathLike
from pathlib import Path
from typing import Any, Final

import orjson

from unspool.definitions.checks import require_valid
from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.durations import Duration, parse_duration
from unspool.definitions.expressions import source_problems
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.eventstore.records import MessageKind
from unspool.testing.answers import Mock
from unspool.testing.event_starts import event_starts
from unspool.testing.jq import jq_pool
from unspool.testing.json_values import as_json
from unspool.testing.mocks import Mocks
from unspool.testing.occurrences import Occurrences
from unspool.testing.published import Publication, with_ids
from unspool.testing.results import run_of
from unspool.testing.run import Run
from unspool.testing.simulation import Simulation, Surroundings

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""When tests start that say nothing else."""

_NO_MOCKS: Final[Mapping[str, Mock]] = {}
_NO_RESOURCES: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Workflow:
    """A compiled definition, which a test runs as often as it wants."""

    plan: Plan

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> "Workflow":
        """Reads a definition in YAML or JSON.

        Raises:
            DefinitionInvalid: the definition has errors; the exception has all of them, with lines.
            OSError: the file cannot be read.
        """
        return cls.from_text(Path(path).read_bytes(), name=str(path))

    @classmethod
    def from_text(cls, text: str | bytes, *, name: str = "the definition") -> "Workflow":
        """Reads a definition from text. `name` is for messages. Raises `DefinitionInvalid`."""
        jq = jq_pool()
        document = load(text, name=name)
        require_valid(document, expression_problems=partial(source_problems, jq=jq))
        return cls(compile_plan(document.value, jq))

    @classmethod
    def from_definition(cls, definition: Mapping[str, Json]) -> "Workflow":
        """Takes a definition as Python data. Raises `DefinitionInvalid`."""
        return cls.from_text(orjson.dumps(definition))

    def run(
        self,
        input: Any = ...,  # noqa: A002 - the name in the DSL
        *,
        mocks: Mapping[str, Mock] = _NO_MOCKS,
        events: Sequence[Publication] = (),
        sub_workflows: Iterable["Workflow"] = (),
        resources: Mapping[str, str] = _NO_RESOURCES,
        start: datetime = START,
        until: Json = None,
        secrets: Mapping[str, Json] | None = None,
        lifecycle_events: bool = False,
        suspend_after: Json = None,
        resume_after: Json = None,
        cancel_after: Json = None,
    ) -> Run:
        """Runs one execution in virtual time, to its end or until nothing happens any more.

        Args:
            input: the input of the workflow; without it `{}`.
            mocks: for each task that needs an executor its output, or an answer; by name, pointer or kind.
            events: what is published for tasks that listen.
            sub_workflows: the workflows that `run: workflow` may start, beside this one.
            resources: the texts of functions and schemas at addresses, by address.
            start: the virtual time of the start, with a time zone.
            until: the virtual time after which the test stops, as a duration of the DSL.
            secrets: the values of secrets. Without them, arguments that read secrets stay expressions.
            lifecycle_events: whether tasks hear lifecycle events (`UNSPOOL_LIFECYCLE_EVENTS`).
            suspend_after: the virtual time after which the execution is suspended, as a duration of the DSL.
            resume_after: the virtual time after which the suspended execution is resumed.
            cancel_after: the virtual time after which the execution is cancelled, as a duration of the DSL.

        Raises:
            UnmockedTask: a task needs an executor and has no mock.
            UnknownMock: no task has the name, pointer or kind of a mock.
            MockExhausted: a sequence has no answer for a call.
            NotJson: the input, or the output of a mock, is not JSON.
            EndlessExecution: the execution does not end.
            BadDuration: `until`, or one of the times after which something happens, is not a duration.
        """
        plans = [self.plan, *(each.plan for each in sub_workflows)]
        given = Mocks(mocks)
        if not resources:  # the tasks of functions at addresses are not known yet
            given.check(plans)
        surroundings = Surroundings(
            mocks=given,
            events=with_ids(events),
            sub_workflows=plans,
            resources=resources,
            secrets=secrets,
            lifecycle_events=lifecycle_events,
            operations=_operations(
                (MessageKind.SUSPEND, suspend_after),
                (MessageKind.RESUME, resume_after),
                (MessageKind.CANCEL, cancel_after),
            ),
        )
        simulation = Simulation(surroundings, _milliseconds(start), _duration(until))
        execution = simulation.run(self.plan, {} if input is ... else as_json(input, "the input"))
        return run_of(simulation, execution)

    def run_schedule(
        self,
        times: int,
        *,
        triggers: Sequence[Publication] = (),
        start: datetime = START,
        zone: tzinfo = UTC,
        **surroundings: Any,
    ) -> list[tuple[datetime, Run]]:
        """Runs the first executions that the workflow's `schedule` starts.

        Args:
            times: how many executions, at most.
            triggers: the events that are published after the deployment, for `on`. The array that each
                execution gets as its input is made from them.
            start: when the definition is deployed, with a time zone.
            zone: the time zone of `cron` (`UNSPOOL_TIMEZONE`).
            surroundings: as for `run`, without `start`. Each execution begins a sequence again.

        Returns:
            The time of each occurrence, and what happened. There are fewer if `cron` has no more occurrences,
            or the events start no more.

        Raises:
            ValueError: the workflow has no schedule.
        """
        since = _milliseconds(start)
        occurrences = Occurrences(self.plan.definition.get("schedule", {}), since, zone)
        by_event = deque(event_starts(self.plan, triggers, since, zone))
        runs: list[tuple[datetime, Run]] = []
        while len(runs) < times:
            at = occurrences.following(by_event[0].at if by_event else inf)
            if at is None and not by_event:
                break
            given = {} if at is not None else {"input": by_event[0].input}
            begun = by_event.popleft().at if at is None else at
            time = datetime.fromtimestamp(begun / 1000, UTC)
            run = self.run(start=time, **surroundings | given)
            if at is not None:
                occurrences.ended(at + round(run.duration.total_seconds() * 1000))
            runs.append((time, run))
        return runs


def _duration(value: Json) -> Duration | None:
    return None if value is None else parse_duration(value)


def _operations(*given: tuple[MessageKind, Json]) -> list[tuple[MessageKind, Duration]]:
    return [(kind, parse_duration(after)) for kind, after in given if after is not None]


def _milliseconds(time: datetime) -> int:
    """Milliseconds since 1970. Raises `ValueError` without a time zone."""
    if time.tzinfo is None:
        raise ValueError("a time needs a time zone, such as tzinfo=UTC")
    return round(time.timestamp() * 1000)
