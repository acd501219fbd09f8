"""A helper process that ends process groups and containers and removes directories after its parent died.

It reads lines from standard input: `+group ID` adds a process group, `-group ID` removes it from the list;
`+directory PATH` and `-directory PATH` do the same for a directory, `+container ENGINE ID` and so on for a
container; these values are in hexadecimal. When the parent dies, also by SIGKILL, the kernel closes the pipe.
Then the helper sends SIGKILL to the groups and containers in its list and to the processes of the
directories, and removes the directories. It imports only what it needs, so that it starts fast.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

_REMOVE_SECONDS = 5.0
"""How long to retry the removal of a directory: a process that is being killed may still write to it."""

_MOST_SEARCHES = 20
"""How often to look for processes that start others while they are killed."""

_ENGINE_SECONDS = 10.0
"""How long a container engine may take to kill a container."""


def main(lines: Iterable[bytes]) -> None:
    """Reads lines to the end of input, then ends and removes what is left."""
    left: dict[bytes, set[bytes]] = {b"group": set(), b"container": set(), b"directory": set()}
    for line in lines:
        if line.endswith(b"\n"):  # the parent may die while it writes
            action, value = line.split()
            values = left[action[1:]]
            (values.add if action.startswith(b"+") else values.discard)(value)
    for group in left[b"group"]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(int(group), signal.SIGKILL)
    for container in left[b"container"]:
        with contextlib.suppress(OSError):
            _kill_container(*bytes.fromhex(container.decode()).decode().split(" "))
    for directory in left[b"directory"]:
        path = os.fsdecode(bytes.fromhex(directory.decode()))
        kill_processes_of(path)
        _remove(path)


def kill_processes_of(directory: str) -> None:
    """Sends SIGKILL to the processes that work in a directory, or have it in their environment (Linux).

    This finds a process that has left its group, such as one in a session of its own. The search is repeated
    until it finds none, because a process may start others meanwhile.
    """
    for _ in range(_MOST_SEARCHES):
        found = [pid for pid in _processes() if _belongs_to(pid, os.fsencode(directory))]
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)


def _processes() -> list[int]:
    """The ids of all processes but this one; none without `/proc`."""
    try:
        with os.scandir("/proc") as entries:
            found = [int(entry.name) for entry in entries if entry.name.isdigit()]
    except FileNotFoundError:
        return []
    return [pid for pid in found if pid != os.getpid()]


def _belongs_to(pid: int, directory: bytes) -> bool:
    try:
        # Without pathlib, which takes long to import.
        works_in = os.readlink(f"/proc/{pid}/cwd".encode()).removesuffix(b" (deleted)")  # noqa: PTH115
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            environment = file.read()
    except OSError:  # it has ended, or belongs to another user
        return False
    inside = works_in == directory or works_in.startswith(directory + b"/")
    return inside or any(b"=" + directory + end in environment for end in (b"\0", b"/"))


def _kill_container(engine: str, container: str) -> None:
    """Sends SIGKILL to a container, over the HTTP API of its engine."""
    import socket  # noqa: PLC0415 - only now, because it takes long to import

    scheme, _, place = engine.partition("://")
    if scheme == "unix":
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_ENGINE_SECONDS)
        connection.connect(place)
    else:
        host, _, port = place.rpartition(":")
        connection = socket.create_connection((host, int(port)), _ENGINE_SECONDS)
    with connection:
        head = "Host: engine\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        connection.sendall(f"POST /containers/{container}/kill HTTP/1.1\r\n{head}".encode())
        connection.recv(1024)


def _remove(directory: str) -> None:
    """Removes a directory. Follows no symbolic links."""
    import shutil  # noqa: PLC0415 - only now, because it takes long to import

    deadline = time.monotonic() + _REMOVE_SECONDS
    while os.path.lexists(directory) and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(0.02)


if __name__ == "__main__":
    main(sys.stdin.buffer)
