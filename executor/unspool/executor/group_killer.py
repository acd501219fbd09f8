"""A helper process that kills process groups and removes directories after its parent has died.

It reads lines from standard input: `+group ID` adds a process group, `-group ID` removes it from the list;
`+directory PATH` and `-directory PATH` do the same for a directory, with its path in hexadecimal. When the
parent dies, also by SIGKILL, the kernel closes the pipe. Then the helper sends SIGKILL to the groups in its
list and removes the directories. It imports only the standard library, so that it starts fast.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable

_REMOVE_SECONDS = 5.0
"""How long to retry the removal of a directory: a process that is being killed may still write to it."""


def main(lines: Iterable[bytes]) -> None:
    """Reads lines to the end of input, then kills the groups and removes the directories that are left."""
    left: dict[bytes, set[bytes]] = {b"group": set(), b"directory": set()}
    for line in lines:
        if line.endswith(b"\n"):  # the parent may die while it writes
            action, value = line.split()
            values = left[action[1:]]
            (values.add if action.startswith(b"+") else values.discard)(value)
    for group in left[b"group"]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(int(group), signal.SIGKILL)
    for directory in left[b"directory"]:
        _remove(os.fsdecode(bytes.fromhex(directory.decode())))


def _remove(directory: str) -> None:
    """Removes a directory. Follows no symbolic links."""
    import shutil  # noqa: PLC0415 - only now, because it takes long to import

    deadline = time.monotonic() + _REMOVE_SECONDS
    while os.path.lexists(directory) and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(0.02)


if __name__ == "__main__":
    main(sys.stdin.buffer)
