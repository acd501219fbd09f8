"""What `/proc` tells about processes, which can end while it is read."""

from pathlib import Path


def _read(pid: int, file: str) -> bytes:
    """A file about a process; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def runs(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    return _read(pid, "stat").rpartition(b")")[2].split()[:1] not in ([], [b"Z"])


def command_line(pid: int) -> bytes:
    """The command line of a process; empty if it has ended."""
    return _read(pid, "cmdline")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    threads = [listed.parent.name for listed in Path(f"/proc/{pid}/task").glob("*/children")]
    return [int(child) for thread in threads for child in _read(pid, f"task/{thread}/children").split()]
