"""What happened in a test, and assertions about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from unspool.eventstore.events import Event
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import Status
from unspool.testing.answers import Call


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a workflow in a test."""

    workflow: str
    """Namespace and name of the workflow."""
    status: Status
    """`completed`, `faulted` or `cancelled`; `waiting` or `running` if nothing happens any more."""
    result: Any = field(repr=False)
    """The output of a completed execution, the error of a faulted one."""
    path: tuple[str, ...]
    """The names of the tasks in the order in which they were started; a retried task is there again."""
    calls: tuple[Call, ...] = field(repr=False)
    """What it asked executors and sub-workflows to do, in order."""
    published: tuple[CloudEvent, ...] = field(repr=False)
    """The events that it published (`emit`), in order; those of its sub-workflows are theirs."""
    started_after: timedelta
    """The virtual time between the start of the test and its own start."""
    duration: timedelta
    """The virtual time from its start to its end, or to the end of the test."""
    history: tuple[Event, ...] = field(repr=False)
    """Its events, as in a store."""
    sub_workflows: tuple["Run", ...] = field(repr=False)
    """The sub-workflows that it started by their definitions, in order."""
    waits_for: str = field(repr=False)
    """What its tasks wait for, in words; empty if it has ended."""

    @property
    def output(self) -> Any:
        """The output. Raises `AssertionError` with the reason if it has not completed."""
        assert self.status is Status.COMPLETED, self._ending
        return self.result

    @property
    def error(self) -> Mapping[str, Any]:
        """The error (RFC 7807). Raises `AssertionError` with the reason if it has not faulted."""
        assert self.status is Status.FAULTED, self._ending
        error: Mapping[str, Any] = self.result
        return error

    @property
    def _ending(self) -> str:
        if self.status.ended:
            return f"{self.workflow} is {self.status}: {self.result}"
        return f"{self.workflow} has not ended after {self.duration}: {self.waits_for or 'nothing is due'}"

    def calls_of(self, task: str) -> list[Call]:
        """Returns the calls of the task with a name or a pointer, or of a kind such as `call: http`."""
        return [call for call in self.calls if task in {call.task, call.pointer, call.kind}]

    def arguments_of(self, task: str) -> list[Any]:
        """Returns the arguments of each call, in order; see `calls_of`."""
        return [call.arguments for call in self.calls_of(task)]

    def assert_path(self, *names: str) -> None:
        """Asserts the names of all tasks that were started, in order. Raises `AssertionError`."""
        assert list(self.path) == list(names), f"the path is {list(self.path)}, not {list(names)}"

    def assert_called(self, task: str, arguments: Any = ..., *, times: int | None = None) -> None:
        """Asserts that a task was called. Raises `AssertionError`.

        Args:
            task: its name, pointer or kind.
            arguments: those of at least one call. Of an object, only the members that are given are compared.
            times: how often it was called; without it, at least once.
        """
        made = self.arguments_of(task)
        assert times is None or len(made) == times, f"'{task}' was called {len(made)} times, not {times}"
        assert made or times == 0, f"'{task}' was not called; the calls are {[c.task for c in self.calls]}"
        if arguments is not ...:
            assert any(_has(each, arguments) for each in made), f"'{task}' was called with {made}"


def _has(value: Any, wanted: Any) -> bool:
    """Whether a value is the wanted one; an object may have more members."""
    if isinstance(wanted, Mapping) and isinstance(value, Mapping):
        return all(name in value and _has(value[name], each) for name, each in wanted.items())
    if isinstance(wanted, Sequence) and isinstance(value, Sequence) and not isinstance(wanted, str):
        return len(value) == len(wanted) and all(map(_has, value, wanted))
    return bool(value == wanted)
