"""Diagrams of definitions, with the state of an execution, for commands and agents."""

from collections.abc import Mapping
from typing import NamedTuple

from unspool.cli.exits import CommandError
from unspool.cli.targets.port import Target
from unspool.cli.terminal import printable
from unspool.definitions.compile import plan_of
from unspool.definitions.expressions import JqRunner
from unspool.diagram.layout.workflow import layout
from unspool.diagram.mermaid import mermaid
from unspool.diagram.plain_text import plain_text
from unspool.diagram.runs import RunLog
from unspool.diagram.states import task_states
from unspool.diagram.status import TaskState
from unspool.diagram.svg import svg
from unspool.eventstore.records import WorkflowRef


class Drawn(NamedTuple):
    """What is drawn: the text of a definition, and the history of an execution if there is one."""

    text: str
    log: RunLog | None = None


async def with_state(target: Target, id_: str, at: int | None, text: str | None) -> Drawn:
    """Returns an execution as of event `at`, by default the last one; without a text with its own definition.

    Raises:
        CommandError: there is no such execution, event or definition.
    """
    execution = await target.execution(id_)
    if text is None:
        text = await target.definition(WorkflowRef(**execution["workflow"]))
    events = await target.history(id_)
    if at is not None and at > len(events):
        raise CommandError(f"there is no event {at}; the history has {len(events)}")
    log = RunLog(id_)
    log.add(events if at is None else events[:at])
    return Drawn(text, log)


def drawing(form: str, drawn: Drawn, jq: JqRunner) -> str:
    """Returns a diagram as `svg`, `mermaid` or `ascii`."""
    plan = plan_of(drawn.text, jq)
    laid_out = layout(plan)
    states: Mapping[str, TaskState] = {}
    if drawn.log is not None:
        states = task_states(drawn.log, [pointer for pointer in plan.tasks if pointer])
    match form:
        case "svg":
            return svg(laid_out, states)
        case "mermaid":
            return printable(mermaid(laid_out, {task: str(state.status) for task, state in states.items()}))
        case _:
            marks = {task: str(state) for task, state in states.items() if state.reached}
            return printable(plain_text(laid_out.outline, marks))
