"""Tags that a definition makes from the context: at the start, and when a task exports a new context."""

from typing import Final

import orjson

from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.tag_name import MAX_TAGS, NAME
from unspool.eventstore.tags import problem_of
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Fault
from unspool.worker.interpreter.run import ROOT
from unspool.worker.interpreter.scope import Scope

_NOT_NAMED: Final = f"must have a name that matches {NAME.pattern}"
_TOO_MANY: Final = f"is one too many: an execution has at most {MAX_TAGS} tags"


def tag_again(builder: DecisionBuilder, data: dict[str, Json]) -> None:
    """Evaluates the tags again if an event, whose data this is, has set a new context."""
    if builder.plan.tags and "context" in data:
        tag(builder)


def tag(builder: DecisionBuilder) -> None:
    """Evaluates the tags, and records them if they have changed.

    A value of null removes a tag. A value that cannot be one leaves the tag as it is: what an execution does
    does not depend on its tags. The event tells why.
    """
    tags, refused = dict(builder.state.tags), dict[str, Json]()
    before, builder.budget = builder.budget, Budget()
    for name, value in builder.plan.tags.items():
        text, problem = _value(builder, name, value)
        if problem is not None:
            refused[name] = problem
        elif text is None:
            tags.pop(name, None)
        elif name in tags or len(tags) < MAX_TAGS:
            tags[name] = text
        else:
            refused[name] = _TOO_MANY
    builder.budget = before
    if tags != builder.state.tags:
        data: dict[str, Json] = {"tags": tags}
        builder.emit("workflow.tagged", None, {**data, "refused": refused} if refused else data)


def _value(builder: DecisionBuilder, name: str, value: Evaluable) -> tuple[str | None, str | None]:
    """The value of a tag, None if there is none, and why it cannot be one."""
    if not NAME.fullmatch(name):
        return None, _NOT_NAMED
    try:
        result = Scope(builder, builder.run(ROOT)).evaluate(value, builder.state.context)
    except Fault as fault:
        return None, fault.error.detail or fault.error.type
    if result is None:
        return None, None
    text = orjson.dumps(result).decode() if isinstance(result, bool | int | float) else result
    return text, problem_of(text)
