"""The external resources that a history names."""

from collections.abc import Iterable

from unspool.definitions.resource_kind import FOR_HANDLERS, kind_of
from unspool.eventstore.events import Event

KeyAndHash = tuple[str, str]
"""The key of a resource, and the hash of its text."""


def fetched_in(events: Iterable[Event]) -> frozenset[KeyAndHash]:
    """The resources whose texts a history names and decisions need."""
    found = frozenset(
        (event.data["resource"], event.data["sha256"])
        for event in events
        if event.type in {"resource.fetched", "resource.faulted"} and "sha256" in event.data
    )
    return of_decisions(found)


def of_decisions(found: Iterable[KeyAndHash]) -> frozenset[KeyAndHash]:
    """Those that decisions read, and not only handlers."""
    return frozenset(each for each in found if kind_of(each[0]) not in FOR_HANDLERS)
