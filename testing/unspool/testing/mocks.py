"""Finds the answer for a call: by the pointer of the task, its name, or its kind."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from unspool.definitions.plan import Plan, Task
from unspool.definitions.spelling import did_you_mean
from unspool.definitions.tasks.call_asyncapi import Subscribe
from unspool.definitions.tasks.request import Request
from unspool.definitions.tasks.run_workflow import RunWorkflow
from unspool.testing.answers import Answer, Call, Fault, Mock, Output, Sequence
from unspool.testing.errors import MockExhausted, UnknownMock
from unspool.testing.json_values import as_json


class Mocks:
    """The mocks of one test. It counts the calls, for sequences."""

    def __init__(self, given: Mapping[str, Mock]) -> None:
        self._given = given
        self._asked: Counter[str] = Counter()

    def check(self, plans: Iterable[Plan]) -> None:
        """Raises `UnknownMock` if a mock is for no task of these plans."""
        tasks = (task for plan in plans for task in plan.tasks.values() if isinstance(task.body, _MOCKED))
        known = {key for task in tasks for key in _keys(task)}
        for key in self._given:
            if key not in known:
                meant = did_you_mean(key, known)
                raise UnknownMock(f"no task that can be mocked has the name, pointer or kind '{key}'{meant}")

    def answer(self, call: Call) -> Answer | None:
        """Returns the answer for a call; None without a mock. Raises `MockExhausted` and `NotJson`."""
        key = next((key for key in (call.pointer, call.task, call.kind) if key in self._given), None)
        if key is None:
            return None
        mock = self._given[key]
        if isinstance(mock, Sequence):
            return _as_answer(key, self._next(key, mock))
        return _as_answer(key, mock(call) if callable(mock) else mock)

    def _next(self, key: str, mock: Sequence) -> object:
        place = self._asked[key]
        if place >= len(mock.answers):
            raise MockExhausted(f"the mock '{key}' has {place} answers, and was asked once more")
        self._asked[key] += 1
        return mock.answers[place]


def kind_of(task: Task) -> str:
    """Returns the kind of a task as its definition has it, such as `call: http`; empty for other tasks."""
    definition = task.definition
    if "call" in definition:
        return f"call: {definition['call']}"
    if "run" in definition:
        return next((f"run: {kind}" for kind in _PROCESSES if kind in definition["run"]), "run")
    return ""


_MOCKED: Final = (Request, RunWorkflow, Subscribe)
"""What needs an executor, or another execution."""

_PROCESSES: Final = ("container", "script", "shell", "workflow")


def _keys(task: Task) -> tuple[str, str, str]:
    return task.pointer, task.name, kind_of(task)


def _as_answer(key: str, value: object) -> Answer:
    if isinstance(value, Fault):
        return value
    given = value if isinstance(value, Output) else Output(value)
    return replace(given, value=as_json(given.value, f"the output of the mock '{key}'"))
