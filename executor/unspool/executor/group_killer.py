"""A helper process that ends process groups and containers and removes directories after its parent died.

It reads lines from standard input: `+group ID` adds a process group, `-group ID` removes it from the list;
`+directory PATH` and `-directory PATH` do the same for a directory, `+container ENGINE ID` and so on for a
container; these values are in hexadecimal. When the parent dies, also by SIGKILL, the kernel closes the pipe.
Then the helper sends SIGKILL to the groups and containers in its list and removes the directories. It imports
only the standard library, so that it starts fast.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

_REMOVE_SECONDS = 5.0
"""How long to retry the removal of a directory: a process that is being killed may still write to it."""

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
        _remove(os.fsdecode(bytes.fromhex(directory.decode())))


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
