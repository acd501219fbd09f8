"""What processes and their descendants have used of the processor: servers and launchers fork."""

import contextlib
from pathlib import Path

from benchmarks import fleet


def used(pids: dict[str, int]) -> dict[str, float]:
    """Seconds of processor time so far, by name of the process."""
    return {name: fleet.cpu_seconds(_family(pid)) for name, pid in pids.items()}


def since(before: dict[str, float], pids: dict[str, int]) -> dict[str, float]:
    """Seconds of processor time since `before` was read."""
    return {name: now - before[name] for name, now in used(pids).items()}


def _family(pid: int) -> list[int]:
    members = [pid]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            for child in (thread / "children").read_text().split():
                members += _family(int(child))
    return members
