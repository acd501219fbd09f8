"""Real jq in guarded child processes.

jq in this process would read its environment and files, hold the GIL while it runs, and take the process
down with it when memory ends. A child has neither environment nor files, little memory, and a time limit
after which it is killed; the next call gets a new one (some 50 ms).
"""

import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from queue import LifoQueue
from types import TracebackType
from typing import IO, Final, Self

import orjson

from unspool.definitions.expressions import jq_messages
from unspool.definitions.expressions.errors import EvaluationError, ExpressionError, LimitExceeded
from unspool.definitions.expressions.lexer import NOW, tokenize, variables
from unspool.definitions.json_value import Json

_SCRIPT: Final = Path(__file__).with_name("jq_child.py")
_STARTING_SECONDS: Final = 20.0
"""A child that needs longer to start than this, on a busy machine, will not start at all."""
_CALLS_PER_CHILD: Final = 10_000
"""Then it is replaced, which bounds what leaks."""


class JqPool:
    """Runs expressions in up to `size` children, started when first needed. Thread-safe."""

    def __init__(self, size: int = 2, seconds: float = 1.0, memory_bytes: int = 512 * 1024 * 1024) -> None:
        """Takes the number of children and what one call may use of time and memory."""
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._size = size
        self._closed = False
        self._idle: LifoQueue[_Child | None] = LifoQueue()
        for _ in range(size):
            self._idle.put(None)

    def run(self, source: str, value: Json, variables: Mapping[str, Json]) -> Json:
        """See `JqRunner`; integers beyond 2^53 lose digits.

        Raises:
            EvaluationError: jq says so.
            LimitExceeded: it took too long, too much memory, or gives more than a mebibyte.
        """
        try:
            body = orjson.dumps({"v": dict(variables), "d": value})
        except TypeError as error:
            raise ExpressionError(f"the data is no JSON that jq can read: {error}") from None
        reply = self._ask(_request("run", source, variables) + body)
        if reply[:1] == b"V":
            return orjson.loads(reply[1:])
        if reply[:1] == b"E":
            raise EvaluationError(jq_messages.of_evaluation(reply[1:].decode()))
        if reply[:1] == b"L":
            raise LimitExceeded("a result too large or too deep")
        return None

    def check(self, source: str, known: frozenset[str] | None = None) -> str | None:
        """See `JqRunner`."""
        try:
            named = variables(tokenize(source))
            bound = named if known is None else named & (known | {NOW})
            reply = self._ask(_request("check", source, bound))
        except ExpressionError as error:
            return str(error)
        return jq_messages.of_compilation(reply[1:].decode()) if reply[:1] == b"E" else None

    def close(self) -> None:
        """Ends the children, after the calls that are under way."""
        if self._closed:
            return
        self._closed = True
        for _ in range(self._size):
            child = self._idle.get()
            if child is not None:
                child.end()
        for _ in range(self._size):
            self._idle.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: bytes) -> bytes:
        child = self._idle.get()
        try:
            if self._closed:
                raise ExpressionError("the jq processes have been ended")
            if child is None or child.worn_out():
                child = self._replaced(child)
            return child.ask(request, self._seconds)
        except _Gone as gone:
            child = None
            raise LimitExceeded(str(gone)) from None
        finally:
            self._idle.put(child)

    def _replaced(self, child: "_Child | None") -> "_Child":
        if child is not None:
            child.end()
        try:
            return _Child(self._memory_bytes, self._seconds)
        except _Gone:
            raise ExpressionError("the process for jq does not start") from None


def _request(op: str, source: str, names: Mapping[str, Json] | frozenset[str]) -> bytes:
    return orjson.dumps({"op": op, "source": source, "names": sorted(names)}) + b"\n"


class _Gone(Exception):
    """The child has been killed or has ended; says why."""


class _Child:
    def __init__(self, memory_bytes: int, seconds: float) -> None:
        self._calls = 0
        command = [sys.executable, "-I", "-S", "-B", str(_SCRIPT), str(memory_bytes), str(seconds)]
        # The folder is gone once the child stands in it: as empty as can be, and nothing to clear up.
        with tempfile.TemporaryDirectory(prefix="unspool-jq-") as folder:
            self._process = subprocess.Popen(  # noqa: S603 -- our own script
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
        self._receive(time.monotonic() + _STARTING_SECONDS)

    def worn_out(self) -> bool:
        """Whether it has served long enough, or has ended."""
        return self._calls >= _CALLS_PER_CHILD or self._process.poll() is not None

    def ask(self, request: bytes, seconds: float) -> bytes:
        """The answer to a request. Raises `_Gone`, and the process is gone then."""
        self._calls += 1
        deadline = time.monotonic() + seconds
        self._send(struct.pack(">I", len(request)) + request, deadline)
        return self._receive(deadline)

    def end(self) -> None:
        """Kills the process; it holds nothing worth saving."""
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
                raise self._gone() from None

    def _receive(self, deadline: float) -> bytes:
        (size,) = struct.unpack(">I", self._read(4, deadline))
        return self._read(size, deadline)

    def _read(self, size: int, deadline: float) -> bytes:
        received = bytearray()
        while len(received) < size:
            self._wait(self._stdout, select.POLLIN, deadline)
            piece = os.read(self._stdout, size - len(received))
            if not piece:
                raise self._gone()
            received += piece
        return bytes(received)

    def _wait(self, pipe: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(pipe, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            self.end()
            raise _Gone("too much time")

    def _gone(self) -> _Gone:
        self.end()
        return _Gone("too much memory or depth")


def _pipe_of(stream: IO[bytes] | None) -> int:
    assert stream is not None  # asked for above
    os.set_blocking(stream.fileno(), False)
    return stream.fileno()


def _module_folders() -> list[str]:
    """Where the child finds its two modules: it starts without site-packages."""
    found = [find_spec(name) for name in ("jq", "orjson")]
    origins = [Path(spec.origin) for spec in found if spec is not None and spec.origin is not None]
    return sorted({str((path.parent if path.stem == "__init__" else path).parent) for path in origins})
