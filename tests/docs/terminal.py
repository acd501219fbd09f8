"""A terminal in which commands run as a reader types them: bash with job control."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path

_ENDED = re.compile(r"\x01(\d+)\x01")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-JL-Za-z]")
_JOBS = re.compile(r"\[\d+\][+-]? +(\d+|\w.*)$")
"""What bash says about jobs: `[1] 812`, `[1]+  Terminated  sleep 9`."""


class Command:
    """A command that was started, and what it has printed up to now."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
        self.path = os.ttyname(self._slave)
        self._printed = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                self._printed += os.read(self.master, 65536)
            except OSError:  # all processes have closed the terminal
                return

    @property
    def printed(self) -> str:
        """What a reader sees on the terminal, without empty lines and remarks of bash about jobs."""
        text = _ENDED.sub("", self._printed.decode(errors="replace")).replace("\r\n", "\n")
        lines = (_ESCAPES.sub("", re.split(r"\r|\x1b\[2?K", line)[-1]).rstrip() for line in text.split("\n"))
        return "\n".join(line for line in lines if line and not _JOBS.match(line))

    @property
    def code(self) -> int | None:
        """Its exit code; none while it runs in the foreground."""
        ended = _ENDED.search(self._printed.decode(errors="replace"))
        return int(ended[1]) if ended else None

    def close(self) -> None:
        os.close(self._slave)
        self._reader.join(timeout=60)
        os.close(self.master)


class Terminal:
    """An interactive bash in a directory. Variables, directories and jobs stay from command to command."""

    def __init__(self, folder: Path, environment: dict[str, str], scratch: Path) -> None:
        self._scratch = scratch
        self._commands: list[Command] = []
        self._master, self._slave = pty.openpty()
        own = os.ttyname(self._slave)
        attributes = termios.tcgetattr(self._slave)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        # The first terminal that a session leader opens becomes its controlling terminal.
        start = f"exec bash --noprofile --norc --noediting -i < {own} > /dev/null 2>&1"
        # Tests that run in the background ignore SIGINT, and so would all programs here.
        listening = ["env", "--default-signal=INT"]
        self._bash = subprocess.Popen(
            [*listening, "bash", "-c", start], cwd=folder, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    @property
    def directory(self) -> Path:
        """Where it is now."""
        return Path(f"/proc/{self._bash.pid}/cwd").readlink()

    def start(self, text: str) -> Command:
        """Starts a command in the foreground. The terminal must be free."""
        command = Command(text)
        script = self._scratch / f"{len(self._commands)}.sh"
        script.write_text(text + "\n")
        self._commands.append(command)
        self._type(
            f". {script} < /dev/null > {command.path} 2>&1; printf '\\001%d\\001' $? > {command.path}\n"
        )
        return command

    def interrupt(self) -> None:
        """Presses Ctrl-C."""
        os.write(self._master, b"\x03")

    def _type(self, line: str) -> None:
        os.write(self._master, line.encode())

    def close(self) -> None:
        """Ends everything that was started here."""
        if self._commands and self._commands[-1].code is None:
            self.interrupt()
            self._wait_for_the_last()
        self._type("kill $(jobs -p) 2> /dev/null; kill -CONT $(jobs -p) 2> /dev/null; wait; exit\n")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._bash.wait(timeout=20)
        self._kill_the_session()
        self._bash.wait(timeout=60)
        for command in self._commands:
            command.close()
        os.close(self._slave)
        os.close(self._master)

    def _wait_for_the_last(self) -> None:
        deadline = time.monotonic() + 10
        while self._commands[-1].code is None and time.monotonic() < deadline:
            time.sleep(0.02)

    def _kill_the_session(self) -> None:
        deadline = time.monotonic() + 10
        while (left := _processes_of_session(self._bash.pid)) and time.monotonic() < deadline:
            for process in left:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            time.sleep(0.05)


def _processes_of_session(leader: int) -> list[int]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(status.parent.name))
    return found
