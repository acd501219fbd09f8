"""What a handler knows of a task beside its request."""

from collections.abc import Callable
from dataclasses import dataclass

from unspool.definitions.json_value import Json
from unspool.eventstore.errors import NotFound
from unspool.eventstore.texts import Texts


@dataclass(frozen=True, slots=True)
class TaskContext:
    """One delivery of a task."""

    tenant: str
    attempt: int
    """How many times the task was delivered, this time included."""
    texts: Texts
    report: Callable[[Json], None]
    """Reports the progress of the task: any JSON. The newest value is sent every few seconds, to the history.
    Raises `ValueError` if it is larger than 4096 bytes, and `TypeError` if it is not JSON."""

    async def text(self, sha256: str) -> str:
        """The text of an external resource that was fetched for the execution.

        Raises:
            NotFound: it is not stored.
            CorruptHistory: the stored text has another hash.
        """
        found = await self.texts.text(self.tenant, sha256)
        if found is None:
            raise NotFound(f"the text {sha256} is not stored")
        return found
