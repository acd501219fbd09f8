"""Makes the outlines of tasks and their lists from a plan."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from unspool.definitions.json_value import Json
from unspool.definitions.plan import Directive, Task, TaskList
from unspool.definitions.tasks.call_asyncapi import Subscribe
from unspool.definitions.tasks.do import Do
from unspool.definitions.tasks.for_each import For, ParallelFor
from unspool.definitions.tasks.fork import Fork
from unspool.definitions.tasks.listen import Listen
from unspool.definitions.tasks.raise_error import Raise
from unspool.definitions.tasks.switch import Switch
from unspool.definitions.tasks.try_catch import Try
from unspool.diagram.outline.description import describe
from unspool.diagram.outline.model import Case, ListOutline, Role, Route, TaskOutline
from unspool.diagram.outline.retries import caught_errors, retry_text
from unspool.diagram.outline.texts import expression, text_of, timeout


def outline_list(tasks: TaskList, role: Role, use: Mapping[str, Any]) -> ListOutline:
    """Returns the outline of a list. `use` has the reusable components of the definition."""
    return ListOutline(
        pointer=tasks.pointer, role=role, tasks=tuple(outline_task(task, use) for task in tasks.tasks)
    )


def outline_task(task: Task, use: Mapping[str, Any]) -> TaskOutline:
    """Returns the outline of a task, with the lists in it."""
    described = describe(task.definition)
    return TaskOutline(
        pointer=task.pointer,
        name=task.name,
        kind=described.kind,
        variant=described.variant,
        label=described.label,
        summary=described.summary,
        notes=tuple(_notes(task, use)),
        cases=tuple(_cases(task)),
        routes=tuple(_routes(task)),
        lists=tuple(_lists(task, use)),
        extended=bool(task.extensions),
    )


def _notes(task: Task, use: Mapping[str, Any]) -> Iterator[str]:
    written = task.definition
    if "if" in written:
        yield f"if {expression(written['if'])}"
    if isinstance(task.body, ParallelFor):
        yield f"{task.body.concurrency} side by side"
    if isinstance(task.body, For) and "while" in written:
        yield f"while {expression(written['while'])}"
    yield from _until(task)
    if "timeout" in written:
        yield f"timeout {timeout(written['timeout'], use.get('timeouts', {}))}"


def _until(task: Task) -> Iterator[str]:
    to: Json = None
    if isinstance(task.body, Listen):
        to = task.definition["listen"]["to"]
    elif isinstance(task.body, Subscribe):
        to = task.definition["with"]["subscription"].get("consume", {})
    if isinstance(to, Mapping):
        for name in ("amount", "for", "while", "until"):
            if name in to:
                yield f"{name} {expression(to[name])}"


# -- where the flow goes


def _written_cases(task: Task) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(task.body, Switch):
        for item in task.definition["switch"]:
            yield from item.items()


def _cases(task: Task) -> Iterator[Case]:
    for name, case in _written_cases(task):
        yield Case(name, expression(case["when"]) if case.get("when") is not None else "")


def _routes(task: Task) -> Iterator[Route]:
    own = list(_own_routes(task))
    yield from own
    if "if" in task.definition and all(route.directive != Directive.CONTINUE for route in own):
        yield Route(Directive.CONTINUE, skipped=True)
    if isinstance(task.body, Try) and task.body.catch.then is not None:
        yield Route(task.body.catch.then, caught=True)


def _own_routes(task: Task) -> Iterator[Route]:
    if isinstance(task.body, Raise):
        return
    cases = list(_written_cases(task))
    for place, (_, case) in enumerate(cases):
        yield Route(text_of(case.get("then", Directive.CONTINUE)), case=place)
    if all(case.get("when") is not None for _, case in cases):  # no default case
        yield Route(task.then)


# -- the lists of a task


def _lists(task: Task, use: Mapping[str, Any]) -> Iterator[ListOutline]:
    match task.body:
        case Do(tasks):
            yield outline_list(tasks, Role.DO, use)
        case For() | ParallelFor():
            yield outline_list(task.body.tasks, Role.LOOP, use)
        case Fork(branches):
            yield _branches(branches, use)
        case Listen() | Subscribe() if task.body.each is not None:
            yield outline_list(task.body.each.tasks, Role.LOOP, use)
        case Try():
            yield outline_list(task.body.tasks, Role.TRY, use)
            yield _catch(task, task.body, use)
        case _:  # the other kinds have no lists
            pass


def _branches(branches: TaskList, use: Mapping[str, Any]) -> ListOutline:
    """After a branch, the flow leads to the end of the `fork`, unless the branch ends the workflow."""
    listed = outline_list(branches, Role.BRANCHES, use)
    return replace(listed, tasks=tuple(replace(task, routes=_to_the_end(task)) for task in listed.tasks))


def _to_the_end(task: TaskOutline) -> tuple[Route, ...]:
    return tuple(
        route if route.directive == Directive.END else replace(route, directive=Directive.CONTINUE)
        for route in task.routes
    )


def _catch(task: Task, body: Try, use: Mapping[str, Any]) -> ListOutline:
    written, handling = task.definition["catch"], body.catch.tasks
    pointer = f"{task.pointer}/catch"
    tasks: tuple[TaskOutline, ...] = ()
    if handling is not None:
        pointer, tasks = handling.pointer, outline_list(handling, Role.CATCH, use).tasks
    retry = retry_text(written.get("retry"), use.get("retries", {}))
    handles = handling is not None or not retry
    return ListOutline(
        pointer=pointer,
        role=Role.CATCH,
        title=caught_errors(written),
        notes=(retry,) if retry else (),
        tasks=tasks,
        goes_on=handles and body.catch.then is None,
    )
