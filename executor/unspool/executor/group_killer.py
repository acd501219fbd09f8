"""A helper process that kills process groups after its parent has died.

It reads lines from standard input: `+ID` adds a process group, `-ID` removes it. The kernel closes the pipe
when the parent dies, also by SIGKILL. Then the helper sends SIGKILL to the groups that were not removed. It
imports only the standard library, so that it starts fast.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def main(lines: Iterable[bytes]) -> None:
    """Reads lines to the end of input, then kills the groups that are left."""
    groups: set[int] = set()
    for line in lines:
        update = groups.add if line.startswith(b"+") else groups.discard
        update(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.stdin.buffer)
