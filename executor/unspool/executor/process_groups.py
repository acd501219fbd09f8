"""Process groups, containers and directories that must be removed when this process ends, even by SIGKILL.

A process cannot react to its own SIGKILL, and `PR_SET_PDEATHSIG` signals only a direct child. So one helper
process (`group_killer.py`) has a list of them. It kills the groups and containers and removes the directories
when the pipe from this process closes.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Final, cast

_SCRIPT: Final = Path(__file__).with_name("group_killer.py")


class ProcessGroups:
    """Registers process groups, their directories, and containers with the helper.

    The helper starts at the first registration, and again if it has died.
    """

    def __init__(self) -> None:
        self._registered: set[str] = set()
        self._helper: subprocess.Popen[bytes] | None = None

    def add(self, group: int) -> None:
        """Makes sure that a group is killed if this process dies.

        Raises:
            OSError: the helper cannot be started.
        """
        self._add(f"group {group}")

    def remove(self, group: int) -> None:
        """Unregisters a group that has ended, because its id can be used again."""
        self._remove(f"group {group}")

    def add_directory(self, directory: str) -> None:
        """Makes sure that a directory is removed if this process dies.

        Raises:
            OSError: the helper cannot be started.
        """
        self._add(f"directory {os.fsencode(directory).hex()}")

    def remove_directory(self, directory: str) -> None:
        """Unregisters a directory that was removed."""
        self._remove(f"directory {os.fsencode(directory).hex()}")

    def add_container(self, engine: str, container: str) -> None:
        """Makes sure that a container is killed if this process dies.

        Args:
            engine: the address of the container engine: `unix://PATH` or `tcp://HOST:PORT`.
            container: its id.

        Raises:
            OSError: the helper cannot be started.
        """
        self._add(f"container {f'{engine} {container}'.encode().hex()}")

    def remove_container(self, engine: str, container: str) -> None:
        """Unregisters a container that has ended."""
        self._remove(f"container {f'{engine} {container}'.encode().hex()}")

    def _add(self, entry: str) -> None:
        self._registered.add(entry)
        if not self._send(f"+{entry}\n"):
            self._start_helper()

    def _remove(self, entry: str) -> None:
        self._registered.discard(entry)
        if not self._send(f"-{entry}\n"):
            self._stop_helper()

    def close(self) -> None:
        """Ends the helper and waits for it. It ends and removes what is in its list."""
        if self._helper is not None:
            _pipe(self._helper).close()
            self._helper.wait()
            self._helper = None

    def _send(self, text: str) -> bool:
        """Sends a line to the helper. Returns True if the helper will read it, even if this process dies."""
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
            start_new_session=True,  # so that a signal to the executor's process group does not stop it
            bufsize=0,
        )
        self._send("".join(f"+{entry}\n" for entry in self._registered))
        os.set_blocking(_pipe(self._helper).fileno(), False)

    def _stop_helper(self) -> None:
        """Kills a helper that cannot be used. A killed helper kills no groups and removes no directories."""
        if self._helper is not None:
            self._helper.kill()
            self._helper.wait()
            _pipe(self._helper).close()
            self._helper = None


def _pipe(helper: subprocess.Popen[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", helper.stdin)
