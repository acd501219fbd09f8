"""Draws the timeline of an execution from its history: each run of a task, its time and its outcome."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

Event = Mapping[str, Any]
"""An event as the API and `unspool history --json` return it."""

WIDTH: Final = 30
"""Columns of the bars."""


@dataclass(slots=True)
class Bar:
    """One run of a task."""

    name: str
    depth: int
    """Number of parent tasks."""
    begin: float
    end: float | None = None
    """Begin and end are in seconds since the start of the execution."""
    outcome: str = "running"
    """`completed`, `faulted`, `cancelled` or `skipped`."""
    note: str = ""


def bars(events: Sequence[Event]) -> list[Bar]:
    """Returns the runs of an execution's tasks, in order of creation."""
    found: dict[str, Bar] = {}
    for event in events:
        at = _seconds(events[0], event)
        run, kind, data = event["run"], event["type"], event["data"]
        if kind == "task.created":
            name = event["task"].rsplit("/", 1)[-1]
            found[run] = Bar(name, _depth(event["task"]), at)
        elif kind == "task.started":
            found[run].begin = at
        elif kind in _ENDS:
            found[run].end = at
            found[run].outcome = "skipped" if data.get("skipped") else _ENDS[kind]
        if note := _note(kind, data):
            found[run].note = ", ".join(filter(None, [found[run].note, note]))
    return list(found.values())


_ENDS: Final = {"task.completed": "completed", "task.faulted": "faulted", "task.cancelled": "cancelled"}


def _depth(pointer: str) -> int:
    """Counts the list positions in a pointer such as `/do/0/a/try/1/b`; each belongs to one task."""
    return sum(part.isdecimal() for part in pointer.split("/")) - 1


def _note(kind: str, data: Mapping[str, Any]) -> str:
    """Returns the text for an event next to the bar."""
    match kind:
        case "task.faulted":
            error = data["error"]
            return f"{error['status']} {error.get('title', '')}".strip()
        case "task.retried":
            return f"retry {data['attempt']}"
        case "task.completed" if data.get("skipped"):
            return "skipped"
        case _:
            return ""


def _seconds(first: Event, event: Event) -> float:
    begin, now = (datetime.fromisoformat(e["time"]) for e in (first, event))
    return (now - begin).total_seconds()


@dataclass(frozen=True, slots=True)
class Style:
    """Characters and colours of the output."""

    colour: bool
    block: str = "━"
    tick: str = "╸"

    def paint(self, text: str, colour: str) -> str:
        """Returns the text in a colour, if colours are on."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.colour else text


_COLOURS: Final = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "blue": 34}

_PAINT: Final = {
    "completed": "green",
    "faulted": "red",
    "cancelled": "yellow",
    "skipped": "dim",
    "running": "blue",
}


def draw(runs: Sequence[Bar], style: Style) -> Iterator[str]:
    """Yields the lines of a timeline."""
    longest = max(len(run.name) + 2 * run.depth for run in runs)
    total = max(0.001, *(run.end or run.begin for run in runs))
    for run in runs:
        name = ("  " * run.depth + run.name).ljust(longest)
        bar = _bar(run, total, style)
        took = _duration((run.end if run.end is not None else total) - run.begin)
        note = style.paint(run.note, _PAINT[run.outcome]) if run.note else ""
        yield f"  {name}  {bar}  {took:>7}  {note}".rstrip()


def _bar(run: Bar, total: float, style: Style) -> str:
    begin = min(round(run.begin / total * WIDTH), WIDTH - 1)
    end = max(round((run.end if run.end is not None else total) / total * WIDTH), begin + 1)
    is_instant = run.end == run.begin
    line = style.tick if is_instant else style.block * (end - begin)
    return " " * begin + style.paint(line, _PAINT[run.outcome]) + " " * (WIDTH - begin - len(line))


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
