"""Processor time of processes and their descendants."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from benchmarks import processes


def used(pids: dict[str, int]) -> dict[str, float]:
    """Seconds of processor time so far, by name of the process. Raises `ProcessEnded` when one has ended."""
    return {name: processes.cpu_seconds([pid]) + _of_descendants(pid) for name, pid in pids.items()}


def since(before: dict[str, float], pids: dict[str, int]) -> dict[str, float]:
    """Seconds of processor time since `before` was read. Raises `ProcessEnded` when a process has ended."""
    return {name: now - before[name] for name, now in used(pids).items()}


def _of_descendants(pid: int) -> float:
    """Without those that end meanwhile."""
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
