"""Processor time of processes and their descendants."""

import contextlib
from pathlib import Path

from benchmarks import processes


def used(pids: dict[str, int]) -> dict[str, float]:
    """Seconds of processor time so far, by name of the process."""
    return {name: processes.cpu_seconds(_process_tree(pid)) for name, pid in pids.items()}


def since(before: dict[str, float], pids: dict[str, int]) -> dict[str, float]:
    """Seconds of processor time since `before` was read."""
    return {name: now - before[name] for name, now in used(pids).items()}


def _process_tree(pid: int) -> list[int]:
    members = [pid]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            for child in (thread / "children").read_text().split():
                members += _process_tree(int(child))
    return members
