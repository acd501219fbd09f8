"""Which executor a container belongs to, and whether that executor is gone.

An executor is named by the boot of its machine, its process namespace, its process id and its start. A
process can only see others of its own boot and namespace; of others it does not know whether they are gone.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def current_owner() -> str:
    """Returns the name of this executor: `machine/pid/start`."""
    pid = os.getpid()
    return f"{_machine()}/{pid}/{_start_of(pid)}"


def is_gone(owner: str) -> bool:
    """Whether an executor has surely ended."""
    machine, _, process = owner.rpartition("/")[0].rpartition("/")
    start = owner.rpartition("/")[2]
    if machine != _machine() or not process.isdecimal():
        return False
    return _start_of(int(process)) != start


def _machine() -> str:
    with suppress(OSError):
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{(_PROC / 'self/ns/pid').readlink()}"
    return socket.gethostname()


def _start_of(pid: int) -> str:
    """The start of a process; empty if there is none. On systems without `/proc`, whether there is one."""
    if (_PROC / "self").exists():
        with suppress(OSError):
            return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19]
        return ""
    try:
        os.kill(pid, 0)
    except OSError:
        return ""
    return "running"
