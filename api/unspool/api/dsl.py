"""The engine behind the API: the DSL's checks, and states folded as the worker folds them."""

from collections.abc import Sequence
from functools import partial

from unspool.api.engine import Checked, ProblemRecord
from unspool.definitions.checks import parse_definition
from unspool.definitions.document import load
from unspool.definitions.expressions import JqRunner, problem
from unspool.definitions.problems import DefinitionInvalid
from unspool.eventstore.events import Event, Json
from unspool.eventstore.records import WorkflowRef
from unspool.worker.replay import state_at
from unspool.worker.state_json import state_json


class Dsl:
    """The `Engine` of this release."""

    def __init__(self, jq: JqRunner) -> None:
        """Takes what knows whether an expression outside the subset of ours is jq."""
        self._problem = partial(problem, jq=jq)

    def check(self, text: str) -> Checked:
        """Parses and checks a definition, its expressions included."""
        try:
            members = parse_definition(text, expression_problem=self._problem).value["document"]
        except DefinitionInvalid as invalid:
            return Checked(
                None, [ProblemRecord(p.pointer, p.line, p.column, p.message) for p in invalid.problems]
            )
        return Checked(WorkflowRef(members["namespace"], members["name"], members["version"]), ())

    def document(self, text: str) -> Json:
        """A checked definition as JSON."""
        return load(text).value

    def state(self, execution: str, events: Sequence[Event]) -> Json:
        """The state of an execution after these events."""
        return state_json(state_at(execution, events))
