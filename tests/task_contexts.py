"""Contexts of tasks for handlers that a test calls itself."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from unspool.eventstore.functions import RegisteredFunction
from unspool.eventstore.texts import sha256_of
from unspool.executor.task_context import TaskContext


class TextsInMemory(dict[str, str]):
    """Texts by hash, of one tenant, and the functions that other executors have registered."""

    registered: Sequence[RegisteredFunction] = ()

    async def functions(self) -> list[RegisteredFunction]:
        return list(self.registered)

    async def now(self) -> int:
        return 0

    async def put_text(self, tenant: str, text: str) -> str:
        sha256 = sha256_of(text)
        self[sha256] = text
        return sha256

    async def text(self, tenant: str, sha256: str) -> str | None:
        return self.get(sha256)


def task_context(
    texts: TextsInMemory | None = None,
    report: Callable[[object], None] = lambda value: None,
    parked: Callable[[str], AbstractContextManager[None]] = lambda why: nullcontext(),
    attempt: int = 1,
    deadline: float | None = None,
) -> TaskContext:
    """The context of a delivery, by default the first one."""
    stored = TextsInMemory() if texts is None else texts
    return TaskContext("default", attempt, stored, report, parked, deadline=deadline)
