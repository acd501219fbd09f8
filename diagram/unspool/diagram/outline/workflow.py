"""Makes the outline of a workflow from its plan."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from unspool.definitions.extension_targets import EXTENSIONS
from unspool.definitions.json_pointer import child
from unspool.definitions.plan import Plan, TaskList
from unspool.definitions.tasks.do import Do
from unspool.diagram.outline.model import ListOutline, Outline, Role, Section
from unspool.diagram.outline.tasks import outline_list, outline_task
from unspool.diagram.outline.texts import expression, schedule, text_of, timeout

_FUNCTIONS: Final = "/use/functions"


def outline(plan: Plan) -> Outline:
    """Returns the outline of a plan. A plan that cannot be compiled has an outline without tasks."""
    written = plan.definition
    use = written.get("use", {})
    kind, when = schedule(written.get("schedule") or {})
    body = plan.root.body
    tasks = body.tasks if isinstance(body, Do) else TaskList.of("/do", ())
    limit = (
        [f"timeout {timeout(written['timeout'], use.get('timeouts', {}))}"] if "timeout" in written else []
    )
    return Outline(
        namespace=plan.namespace,
        name=plan.name,
        version=plan.version,
        title=text_of(written["document"].get("title", "")),
        schedule=when,
        schedule_kind=kind,
        notes=tuple(limit),
        tasks=outline_list(tasks, Role.WORKFLOW, use),
        sections=(*_functions(plan, use), *_extensions(plan, use)),
    )


def _functions(plan: Plan, use: Mapping[str, Any]) -> Iterator[Section]:
    """The functions that are called, each with its task."""
    for task in plan.tasks.values():
        if task.scope == _FUNCTIONS:
            tasks = ListOutline(pointer=_FUNCTIONS, role=Role.FUNCTION, tasks=(outline_task(task, use),))
            yield Section(pointer=task.pointer, kind="function", name=task.name, summary="", lists=(tasks,))


def _extensions(plan: Plan, use: Mapping[str, Any]) -> Iterator[Section]:
    for index, entry in enumerate(use.get("extensions", ())):
        for name, spec in entry.items():
            pointer = child(EXTENSIONS, index, name)
            lists = plan.extensions.get(pointer)
            if lists is None:  # the plan of a definition that cannot be compiled
                continue
            roles = ((lists.before, Role.BEFORE), (lists.after, Role.AFTER))
            yield Section(
                pointer=pointer,
                kind="extension",
                name=name,
                summary=f"extends {text_of(spec['extend'])}",
                notes=(f"when {expression(spec['when'])}",) if "when" in spec else (),
                lists=tuple(outline_list(tasks, role, use) for tasks, role in roles if tasks.tasks),
            )
