"""What the API asks of the engine: to check a definition, to show it as JSON, to rebuild a state."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from unspool.eventstore.events import Event, Json
from unspool.eventstore.records import WorkflowRef


class ProblemRecord(NamedTuple):
    """One problem of a definition."""

    pointer: str
    """JSON pointer of the place."""
    line: int
    column: int
    """Both from 1."""
    message: str


class Checked(NamedTuple):
    """What checking a definition came to: its identity, or its problems."""

    ref: WorkflowRef | None
    problems: Sequence[ProblemRecord]


class Engine(Protocol):
    """All three may take long on hostile or large input, so the API calls them on a thread."""

    def check(self, text: str) -> Checked:
        """Parses and checks a definition, YAML or JSON."""

    def document(self, text: str) -> Json:
        """A checked definition as JSON."""

    def state(self, execution: str, events: Sequence[Event]) -> Json:
        """The state of an execution after these events, its first ones."""
