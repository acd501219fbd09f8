"""`raise`: faults with the author's error (inventory I25-I28)."""

from collections.abc import Mapping

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.json_value import Json
from unspool.definitions.schema.types import found
from unspool.definitions.tasks.raise_error import ErrorTemplate, Raise
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Fault
from unspool.worker.interpreter.kind import Kind
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope


class RaiseInterpreter(Kind):
    """Raises an error."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Raise) -> None:
        """Faults."""
        scope = Scope(builder, run)
        if body.error is not None:
            raise Fault(_from_template(scope, body.error))
        assert body.expression is not None  # a `raise` has one of the two
        given = scope.evaluate(body.expression, run.input)
        template = body.named.get(given) if isinstance(given, str) else None
        raise Fault(_error(given) if template is None else _from_template(scope, template))


def _from_template(scope: Scope, template: ErrorTemplate) -> WorkflowError:
    members = scope.evaluate(template.members, scope.run.input)
    return _error({**members, "type": scope.evaluate(template.type, scope.run.input)})


def _error(value: Json) -> WorkflowError:
    if not isinstance(value, Mapping):
        wanted = "raise.error must give an error or the name of one in use.errors"
        raise Fault(errors.expression(f"{wanted}, not {found(value)}"))
    texts = {name: value.get(name) for name in ("title", "detail", "instance")}
    wrong = [name for name, text in texts.items() if not isinstance(text, str | None)]
    if not isinstance(value.get("type"), str):
        wrong.append("type")
    if not isinstance(value.get("status"), int) or isinstance(value["status"], bool):
        wrong.append("status")
    if wrong:
        raise Fault(errors.expression(f"the error raised has a wrong or missing {', '.join(wrong)}"))
    return WorkflowError(value["type"], value["status"], **texts)
