"""Who asks for something, and why: travels in messages, and is in the events that they cause."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from unspool.definitions.json_value import Json

MAX_REASON: Final = 500
"""The longest reason in characters."""

_MEMBERS: Final = ("by", "reason")


class Actor(NamedTuple):
    """Who asks for an operation."""

    by: str
    """`key:NAME`, `jwt:SUBJECT`, `cli:USER` or `anonymous`."""
    reason: str | None = None
    """In the words of the actor."""

    def data(self) -> dict[str, Json]:
        """The members of a message's body."""
        return {"by": self.by} if self.reason is None else {"by": self.by, "reason": self.reason}


def actor_in(data: Mapping[str, Json]) -> dict[str, Json]:
    """The members about an actor in the body of a message or the data of an event; older ones have none."""
    return {name: data[name] for name in _MEMBERS if name in data}
