"""Process groups that must not outlive this process, even if it is killed with SIGKILL.

A process cannot act on its own SIGKILL, and `PR_SET_PDEATHSIG` reaches only a direct child. So one helper
process (`group_killer.py`) knows the groups, and kills them when the pipe from this process closes.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Final, cast

_SCRIPT: Final = Path(__file__).with_name("group_killer.py")


class ProcessGroups:
    """Registers process groups with the helper. It starts at the first `add`, and again if it has died."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._helper: subprocess.Popen[bytes] | None = None

    def add(self, group: int) -> None:
        """Makes sure that a group is killed if this process dies.

        Raises:
            OSError: the helper cannot be started.
        """
        self._groups.add(group)
        if not self._send(f"+{group}\n"):
            self._start_helper()

    def remove(self, group: int) -> None:
        """Forgets a group that has ended, because its id can be used again."""
        self._groups.discard(group)
        if not self._send(f"-{group}\n"):
            self._stop_helper()

    def close(self) -> None:
        """Ends the helper, which kills the groups that were not removed. Waits for it."""
        if self._helper is not None:
            _pipe(self._helper).close()
            self._helper.wait()
            self._helper = None

    def _send(self, text: str) -> bool:
        """Whether the helper will read the text, even if this process dies now."""
        if self._helper is None:
            return False
        try:
            os.write(_pipe(self._helper).fileno(), text.encode())
        except OSError:  # it has died, or does not read
            return False
        return True

    def _start_helper(self) -> None:
        self._stop_helper()
        self._helper = subprocess.Popen(  # noqa: S603 -- our own script
            [sys.executable, "-I", "-S", "-B", str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,  # a signal to the group of the executor does not reach it
            bufsize=0,
        )
        os.set_blocking(_pipe(self._helper).fileno(), False)
        self._send("".join(f"+{group}\n" for group in self._groups))

    def _stop_helper(self) -> None:
        """Kills a helper that cannot be used. Killed, it kills no group."""
        if self._helper is not None:
            self._helper.kill()
            self._helper.wait()
            _pipe(self._helper).close()
            self._helper = None


def _pipe(helper: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", helper.stdin)
