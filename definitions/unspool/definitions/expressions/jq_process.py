"""One child process that runs real jq (`jq_child`), as its parent sees it."""

import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

_SCRIPT: Final = Path(__file__).with_name("jq_child.py")
_START_SECONDS: Final = 20.0
"""How long a child may take to start on a busy machine."""
_PATIENCE: Final = 10
"""How many times longer than its processor time a call may take: on a busy machine a child has to wait."""
_CALLS_PER_PROCESS: Final = 10_000
"""After these the pool replaces the process, which bounds memory leaks."""


class JqProcessEnded(Exception):
    """The process was killed or has ended; the text says why."""


class JqProcess:
    """A running child process. One call at a time."""

    def __init__(self, memory_bytes: int, seconds: float) -> None:
        """Starts it. Raises `JqProcessEnded` when it does not start."""
        self._calls = 0
        command = [sys.executable, "-I", "-S", "-B", str(_SCRIPT), str(memory_bytes), str(seconds)]
        # The working directory is removed as soon as the child has started: it stays empty.
        with tempfile.TemporaryDirectory(prefix="unspool-jq-") as folder:
            self._process = subprocess.Popen(  # noqa: S603 -- the script of this package
                command + _module_folders(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={},
                cwd=folder,
                start_new_session=True,
                bufsize=0,
            )
        self._stdin, self._stdout = _pipe_of(self._process.stdin), _pipe_of(self._process.stdout)
        self._receive(time.monotonic() + _START_SECONDS)

    def worn_out(self) -> bool:
        """Whether the pool replaces it: it has ended, or has served its number of calls."""
        return self._calls >= _CALLS_PER_PROCESS or self._process.poll() is not None

    def ask(self, request: bytes, seconds: float) -> bytes:
        """Returns the answer to a request, which may take so many seconds of processor time.

        Raises `JqProcessEnded`; the process has ended then.
        """
        self._calls += 1
        deadline = time.monotonic() + seconds * _PATIENCE
        self._send(struct.pack(">I", len(request)) + request, deadline)
        return self._receive(deadline)

    def end(self) -> None:
        """Kills the process. It holds no state."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _send(self, frame: bytes, deadline: float) -> None:
        rest = memoryview(frame)
        while rest:
            self._wait(self._stdin, select.POLLOUT, deadline)
            try:
                rest = rest[os.write(self._stdin, rest) :]
            except BrokenPipeError:
                raise self._ended() from None

    def _receive(self, deadline: float) -> bytes:
        (size,) = struct.unpack(">I", self._read(4, deadline))
        return self._read(size, deadline)

    def _read(self, size: int, deadline: float) -> bytes:
        received = bytearray()
        while len(received) < size:
            self._wait(self._stdout, select.POLLIN, deadline)
            piece = os.read(self._stdout, size - len(received))
            if not piece:
                raise self._ended()
            received += piece
        return bytes(received)

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            self.end()
            raise JqProcessEnded("too much time")

    def _ended(self) -> JqProcessEnded:
        self.end()
        took_long = self._process.returncode == -signal.SIGPROF
        return JqProcessEnded("too much time" if took_long else "too much memory or depth")


def _pipe_of(stream: IO[bytes] | None) -> int:
    assert stream is not None  # requested with PIPE above
    os.set_blocking(stream.fileno(), False)
    return stream.fileno()


def _module_folders() -> list[str]:
    """Returns the folders of the two modules of the child, which starts without site-packages."""
    found = [find_spec(name) for name in ("jq", "orjson")]
    origins = [Path(spec.origin) for spec in found if spec is not None and spec.origin is not None]
    return sorted({str((path.parent if path.stem == "__init__" else path).parent) for path in origins})
