"""Who waits for what, and the waking of those whom a change concerns."""

import asyncio
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final

INBOX: Final = "inbox"
TIMERS: Final = "timers"


def queue_topic(queue: str) -> str:
    """What is rung when a task is put into a queue. The topic of an execution is its `ExecutionKey`."""
    return f"tasks:{queue}"


class Wakeups:
    """Bells by topic. All calls are made in the event loop's thread.

    A listener hangs up its bell first, then looks, then waits: what changes after the look rings.
    """

    def __init__(self, first_listener: Callable[[], None]) -> None:
        """`first_listener` is called when somebody begins to listen while nobody did."""
        self._bells: dict[Hashable, set[asyncio.Event]] = {}
        self._first_listener = first_listener

    @property
    def heard(self) -> bool:
        """Whether anybody listens. May be asked from any thread."""
        return bool(self._bells)

    @contextmanager
    def listening(self, *topics: Hashable) -> Iterator[asyncio.Event]:
        """A bell that rings when something happens on one of the topics."""
        bell = asyncio.Event()
        unheard = not self._bells
        for topic in topics:
            self._bells.setdefault(topic, set()).add(bell)
        if unheard:
            self._first_listener()
        try:
            yield bell
        finally:
            for topic in topics:
                self._take_down(topic, bell)

    def ring(self, topics: Iterable[Hashable]) -> None:
        """Rings the bells of these topics."""
        for topic in topics:
            for bell in self._bells.get(topic, ()):
                bell.set()

    def ring_others(self, changed: frozenset[Hashable] | None) -> None:
        """Rings after a change by another process: queues of all kinds, and the executions in `changed`.

        None stands for every execution.
        """
        for topic, bells in self._bells.items():
            if changed is None or isinstance(topic, str) or topic in changed:
                for bell in bells:
                    bell.set()

    def ring_all(self) -> None:
        """Rings every bell."""
        self.ring_others(None)

    def _take_down(self, topic: Hashable, bell: asyncio.Event) -> None:
        bells = self._bells[topic]
        bells.discard(bell)
        if not bells:
            del self._bells[topic]


async def rung_within(bell: asyncio.Event, seconds: float) -> bool:
    """Waits for a bell and makes it ready to ring again; False if the time is over first."""
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return False
    bell.clear()
    return True
