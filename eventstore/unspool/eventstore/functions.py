"""Functions that executors have registered: a part of the port of the event store.

Workers need them to find the queue of a call. They belong to the store, as executors do, and not to a tenant.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from unspool.definitions.json_value import Json

REGISTER_SECONDS: Final = 10.0
"""Interval in which executors register their functions again."""

LIVE_MILLISECONDS: Final = 30_000
"""A function that was not registered for this time has no live executor."""

FORGOTTEN_MILLISECONDS: Final = 30 * 24 * 3_600_000
"""A function that was not registered for this time is forgotten."""


class RegisteredFunction(NamedTuple):
    """A function that an executor has. Its key is name, version and queue; none of them has blanks."""

    name: str
    version: str
    queue: str
    """Where its calls go."""
    input_schema: Json = None
    """A JSON schema; None if it is not known."""
    output_schema: Json = None
    registered_at: int = 0
    """When it was last registered, milliseconds since 1970 by the store's clock. The store sets it."""

    def is_live(self, now: int) -> bool:
        """Whether an executor has registered it lately."""
        return self.registered_at > now - LIVE_MILLISECONDS


class Functions(Protocol):
    """The functions of executors."""

    async def register_functions(self, functions: Sequence[RegisteredFunction]) -> None:
        """Registers functions, also again. Call it at the start and then every `REGISTER_SECONDS`."""

    async def functions(self) -> list[RegisteredFunction]:
        """All functions that are not forgotten, by name, version (as text) and queue."""
