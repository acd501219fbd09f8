"""What the API asks of the engine: to check a definition, to show it as JSON, to rebuild a state."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from unspool.definitions.checks import parse_definition
from unspool.definitions.document import load
from unspool.definitions.expressions import JqRunner, problem
from unspool.definitions.json_value import Json
from unspool.definitions.problems import DefinitionInvalid, Problem
from unspool.eventstore.events import Event
from unspool.eventstore.records import WorkflowRef
from unspool.worker.replay import state_at
from unspool.worker.state_json import state_json


class Checked(NamedTuple):
    """What checking a definition came to: its identity, or its problems."""

    ref: WorkflowRef | None
    problems: Sequence[Problem]


class Engine:
    """All of it may take long on hostile or large input, so the API calls it on a thread."""

    def __init__(self, jq: JqRunner) -> None:
        """Takes what knows whether an expression outside the subset of ours is jq."""
        self._problem = partial(problem, jq=jq)

    def check(self, text: str) -> Checked:
        """Parses and checks a definition, YAML or JSON, its expressions included."""
        try:
            members = parse_definition(text, expression_problem=self._problem).value["document"]
        except DefinitionInvalid as invalid:
            return Checked(None, invalid.problems)
        return Checked(WorkflowRef(members["namespace"], members["name"], members["version"]), ())

    def document(self, text: str) -> Json:
        """A checked definition as JSON."""
        return load(text).value

    def state(self, execution: str, events: Sequence[Event]) -> Json:
        """The state of an execution after these events, its first ones."""
        return state_json(state_at(execution, events))
