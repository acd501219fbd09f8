"""Texts by their hash: what executors fetched for executions. A part of the port."""

import hashlib
from typing import Final, NamedTuple, Protocol

from unspool.eventstore.errors import CorruptHistory
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import ExecutionKey, WorkflowRef

ANY_WORKFLOW: Final = "*"
"""Stands for all workflows in a use of a text."""

_HOUR: Final = 3_600_000


class TextUse(NamedTuple):
    """The executions that may use a text: those of a workflow that were created within a time."""

    workflow: str
    """Namespace and name, `NAMESPACE/NAME`, or `ANY_WORKFLOW`."""
    since: int
    """Milliseconds since 1970."""
    until: int
    """Not included, milliseconds since 1970."""

    @property
    def executions(self) -> ExecutionFilter:
        """The filter that lists them."""
        if self.workflow == ANY_WORKFLOW:
            return ExecutionFilter(since=self.since, until=self.until)
        namespace, _, name = self.workflow.partition("/")
        return ExecutionFilter(workflow=(namespace, name), since=self.since, until=self.until)


class StoredText(NamedTuple):
    """What is known of the use of a stored text."""

    tenant: str
    sha256: str
    uses: tuple[TextUse, ...]
    unused_since: int | None
    """When no stored execution was found that may use it; None after a later use. Milliseconds since 1970."""


class Texts(Protocol):
    """Texts by tenant and SHA-256. A stored text never changes, and stays while an execution may use it."""

    async def put_text(self, user: ExecutionKey, text: str) -> str:
        """Stores a text for an execution, once; returns its hash.

        In the same step the use is noted, and `unused_since` is forgotten. Call it each time before the hash
        is sent to the execution. If there is no such execution, nothing is stored.
        """

    async def text(self, tenant: str, sha256: str) -> str | None:
        """The text with this hash.

        Raises:
            CorruptHistory: the stored text has another hash.
        """

    async def put_content(self, user: ExecutionKey, sha256: str, content: bytes) -> None:
        """Does what `put_text` does, with what a text with this hash is stored as."""

    async def content(self, tenant: str, sha256: str) -> bytes | None:
        """What the text with this hash is stored as: the text in UTF-8, or encrypted."""

    async def texts_before(self, time: int, limit: int) -> list[StoredText]:
        """Up to `limit` texts of all tenants that are due for a look before a time, milliseconds since 1970.

        A new text is due at once.
        """

    async def look_at_text_again(self, text: StoredText, time: int, unused_since: int | None) -> None:
        """Sets when a text is due for a look, and since when it is unused; milliseconds since 1970."""

    async def drop_text(self, text: StoredText) -> bool:
        """Deletes a text, unless its `unused_since` has changed. Returns whether this call has deleted it."""


def use_by(workflow: WorkflowRef, created_at: int) -> TextUse:
    """The use of a text by an execution. It is noted by hours, so that few uses change what is noted."""
    since = created_at - created_at % _HOUR
    return TextUse(f"{workflow.namespace}/{workflow.name}", since, since + _HOUR)


def sha256_of(text: str) -> str:
    """The SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def checked_text(stored: bytes | None, sha256: str) -> str | None:
    """A stored text, decoded. Raises `CorruptHistory` if it does not have this hash."""
    if stored is None:
        return None
    if hashlib.sha256(stored).hexdigest() != sha256:
        raise CorruptHistory(f"the text {sha256} does not match its hash")
    return stored.decode()
