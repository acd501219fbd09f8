"""Processor time of processes and their descendants."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks import processes


def used(pids: dict[str, int]) -> dict[str, float]:
    """Returns the processor time in seconds by process. Raises `ProcessEnded` if one has ended."""
    return {name: processes.cpu_seconds([pid]) + _of_descendants(pid) for name, pid in pids.items()}


def since(before: dict[str, float], pids: dict[str, int]) -> dict[str, float]:
    """Returns the processor time in seconds since `before`. Raises `ProcessEnded` if one has ended."""
    return {name: now - before[name] for name, now in used(pids).items()}


def _of_descendants(pid: int) -> float:
    """Returns the seconds of all descendants; those that end during the call are left out."""
    seconds = 0.0
    for child in _children(pid):
        with contextlib.suppress(processes.ProcessEnded):
            seconds += processes.cpu_seconds([child])
        seconds += _of_descendants(child)
    return seconds


def _children(pid: int) -> Iterator[int]:
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield from map(int, listed.read_text().split())
