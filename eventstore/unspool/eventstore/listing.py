"""Lists of executions: which to list, and what a page has."""

from dataclasses import dataclass, field
from typing import NamedTuple

from unspool.eventstore.records import ExecutionRecord, Status
from unspool.eventstore.tags import Tags, no_tags


@dataclass(frozen=True, slots=True)
class Page:
    """One page of executions."""

    items: tuple[ExecutionRecord, ...]
    cursor: str | None
    """Opaque; None on the last page. The next page begins there.

    A page with a cursor can have fewer items than the limit, or none: a search for a rare combination reads a
    limited number of executions for one page.
    """


class Count(NamedTuple):
    """A number of executions."""

    number: int
    exact: bool
    """False: there are at least so many."""


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions to list: those that all members match. None, or an empty member, matches all."""

    statuses: frozenset[Status] = frozenset()
    """In one of these statuses."""
    workflow: tuple[str, str] | None = None
    """Namespace and name."""
    version: str | None = None
    """Version of the workflow, of one that `workflow` names."""
    since: int | None = None
    """Created at or after this time, milliseconds since 1970."""
    until: int | None = None
    """Created before this time, milliseconds since 1970."""
    id: str | None = None
    id_prefix: str | None = None
    """What the id begins with. The list is then in the order of the ids, the last one first."""
    parent: str | None = None
    """The execution that started them as sub-workflows."""
    tags: Tags = field(default_factory=no_tags)
    """They have all these tags."""

    def __post_init__(self) -> None:
        """Refuses a version without a workflow (`ValueError`)."""
        if self.version is not None and self.workflow is None:
            raise ValueError("a version needs a workflow")

    @property
    def by_id(self) -> bool:
        """Whether the list is in the order of the ids."""
        return self.id_prefix is not None
