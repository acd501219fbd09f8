"""The progress that `unspool run` shows on a terminal: a line for each finished task, and the running one."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TextIO

from unspool.cli.output import shortened
from unspool.cli.terminal import is_terminal, printable, styled
from unspool.definitions.json_pointer import parts
from unspool.eventstore.events import Event

_REFRESH_SECONDS: Final = 0.1
_CLEAR_LINE: Final = "\r\x1b[2K"

_MARKS: Final = {"done": "green", "skipped": "dim", "failed": "red", "cancelled": "yellow", "retry": "yellow"}


class Line(NamedTuple):
    """A task that has ended or is retried."""

    mark: str
    text: str


@dataclass(slots=True)
class Progress:
    """Converts events into lines. Times are in milliseconds since 1970."""

    _started: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Names and start times of running tasks, innermost last."""

    def add(self, events: Sequence[Event]) -> list[Line]:
        """Returns the lines for these events."""
        return [line for event in events if event.task and (line := self._line(event)) is not None]

    def current(self, now: int) -> str:
        """Describes the innermost running task; empty if there is none."""
        innermost = list(self._started.values())[-1:]
        return "".join(f"{name}  {_seconds(now - since)}" for name, since in innermost)

    def _line(self, event: Event) -> Line | None:
        run = str(event.run)
        match event.type:
            case "task.started":
                self._started[run] = (task_name(str(event.task)), event.time)
                return None
            case "task.completed":
                return self._ended(event, "skipped" if event.data.get("skipped") else "done")
            case "task.faulted":
                return self._ended(event, "failed", _problem(event.data["error"]))
            case "task.cancelled":
                return self._ended(event, "cancelled")
            case "task.retried":
                return Line("retry", f"{task_name(str(event.task))}  attempt {event.data['attempt'] + 1}")
            case _:
                return None

    def _ended(self, event: Event, mark: str, why: str = "") -> Line:
        name, since = self._started.pop(str(event.run), (task_name(str(event.task)), event.time))
        return Line(mark, "  ".join(filter(None, (name, _seconds(event.time - since), why))))


def task_name(pointer: str) -> str:
    """Returns the names of a task and its parents: `loop / step` for `/do/0/loop/do/1/step`."""
    steps = parts(pointer)
    named = [step for before, step in zip(["", *steps], steps, strict=False) if before.isdigit()]
    return " / ".join(named) or pointer


@asynccontextmanager
async def live(progress: Progress, stream: TextIO) -> AsyncIterator["LiveLines"]:
    """Shows progress while the context is open; shows nothing if the stream is not a terminal."""
    lines = LiveLines(progress, stream)
    if not is_terminal(stream):
        yield lines
        return
    refreshing = asyncio.create_task(lines.refresh())
    try:
        yield lines
    finally:
        refreshing.cancel()
        lines.clear()


class LiveLines:
    """Lines on a terminal; the last one is updated in place."""

    def __init__(self, progress: Progress, stream: TextIO) -> None:
        self._progress = progress
        self._stream = stream
        self._shown = is_terminal(stream)
        self._now = 0
        self._updated_at = 0.0

    def add(self, events: Sequence[Event]) -> None:
        """Shows the lines for these events."""
        lines = self._progress.add(events)
        if not self._shown:
            return
        self._now = events[-1].time
        self._updated_at = asyncio.get_running_loop().time()
        self.clear()
        for mark, text in lines:
            self._stream.write(f"{styled(f'{mark:9}', _MARKS[mark], self._stream)} {printable(text)}\n")
        self._paint()

    async def refresh(self) -> None:
        """Updates the last line until cancelled."""
        while True:
            self._paint()
            await asyncio.sleep(_REFRESH_SECONDS)

    def clear(self) -> None:
        """Clears the last line."""
        self._stream.write(_CLEAR_LINE)
        self._stream.flush()

    def _paint(self) -> None:
        since = asyncio.get_running_loop().time() - self._updated_at
        current = self._progress.current(self._now + int(since * 1000))
        line = shortened(printable(f"{'running':9} {current}"), shutil.get_terminal_size().columns - 1)
        self._stream.write(_CLEAR_LINE + (styled(line, "dim", self._stream) if current else ""))
        self._stream.flush()


def _seconds(milliseconds: int) -> str:
    return f"{max(milliseconds, 0) / 1000:.2f} s"


def _problem(error: dict[str, object]) -> str:
    return ": ".join(str(error[member]) for member in ("title", "detail") if error.get(member))
