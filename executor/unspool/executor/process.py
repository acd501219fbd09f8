"""Child processes that cannot flood or hang their executor, nor outlive one that can still stop them."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from subprocess import DEVNULL, PIPE
from typing import Final, NamedTuple, cast

_DRAIN_SECONDS: Final = 0.5
"""How long output is still read once the process has ended and what it left behind holds its pipes."""


class ProcessResult(NamedTuple):
    """What a process came to (dsl-reference.md, "Process Result")."""

    code: int
    """Exit code; 128 + n for a process killed by signal n, as shells count."""
    stdout: str
    stderr: str


class OutputTooLarge(Exception):
    """A process wrote more than it may."""


class _Capture(asyncio.SubprocessProtocol):
    """Collects what a process writes, up to a limit; knows when it ended, whoever still holds its pipes."""

    def __init__(self, limit: int) -> None:
        loop = asyncio.get_running_loop()
        self.output = {1: bytearray(), 2: bytearray()}
        self.overflow: str | None = None
        self.settled: asyncio.Future[None] = loop.create_future()
        """There is nothing more to wait for: the process has ended, or wrote too much."""
        self.exited: asyncio.Future[None] = loop.create_future()
        self.drained: asyncio.Future[None] = loop.create_future()
        """Nobody can write any more."""
        self._limit = limit
        self._writers = {1, 2}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        output = self.output[fd]
        output += data[: self._limit + 1 - len(output)]
        if len(output) > self._limit:
            self.overflow = "standard output" if fd == 1 else "standard error"
            _done(self.settled)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._writers.discard(fd)
        if not self._writers:
            _done(self.drained)

    def process_exited(self) -> None:
        _done(self.exited)
        _done(self.settled)


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def run(
    argv: Sequence[str],
    *,
    stdin: bytes,
    environment: Mapping[str, str],
    directory: str,
    max_output: int,
    kill_grace: float,
) -> ProcessResult:
    """Runs a process in a session of its own, to its end; then ends whatever it left in its process group.

    Cancelled, it asks the group to end (SIGTERM), waits for up to `kill_grace` seconds, and kills it.

    Raises:
        OutputTooLarge: it wrote more than `max_output` bytes to one of its outputs, and was stopped.
        OSError: it could not be started.
    """
    loop = asyncio.get_running_loop()
    transport, capture = await loop.subprocess_exec(
        lambda: _Capture(max_output),
        *argv,
        stdin=PIPE if stdin else DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        cwd=directory,
        env=environment,
        start_new_session=True,
    )
    try:
        _feed(transport, stdin)
        await _ended(capture, max_output)
    except BaseException:
        _signal_group(transport, signal.SIGTERM)
        await asyncio.wait({capture.exited, capture.drained}, timeout=kill_grace)
        raise
    finally:
        _signal_group(transport, signal.SIGKILL)
        await asyncio.wait({capture.exited}, timeout=_DRAIN_SECONDS)
        transport.close()
    return _result(transport, capture)


async def _ended(capture: _Capture, max_output: int) -> None:
    await asyncio.wait({capture.settled})
    if capture.overflow:
        raise OutputTooLarge(f"more than {max_output} bytes were written to {capture.overflow}")
    await asyncio.wait({capture.drained}, timeout=_DRAIN_SECONDS)


def _feed(transport: asyncio.SubprocessTransport, stdin: bytes) -> None:
    if not stdin:
        return
    pipe = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
    if not pipe.is_closing():  # a process may have ended already; uvloop refuses to write then
        pipe.write(stdin)
        pipe.close()  # once all is written


def _signal_group(transport: asyncio.SubprocessTransport, number: signal.Signals) -> None:
    # The id of the group is the process's: it was started as the leader of a session.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), number)


def _result(transport: asyncio.SubprocessTransport, capture: _Capture) -> ProcessResult:
    code = transport.get_returncode()
    if code is None:
        raise RuntimeError("the process cannot be killed")
    stdout, stderr = (capture.output[fd].decode("utf-8", "replace") for fd in (1, 2))
    return ProcessResult(code if code >= 0 else 128 - code, stdout, stderr)


async def detach(
    argv: Sequence[str], *, stdin: bytes, environment: Mapping[str, str], directory: str
) -> None:
    """Starts a process that puts its work into the background, and waits for no more than that.

    Raises:
        OSError: it could not be started.
    """
    with tempfile.TemporaryFile() as source:
        source.write(stdin)
        source.seek(0)
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=source,
            stdout=DEVNULL,
            stderr=DEVNULL,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )
        await process.wait()
