"""Runs shell scripts with limited output and memory, and stops their whole process group at the end."""

import asyncio
import contextlib
import os
import resource
import signal
import tempfile
from collections.abc import Mapping, Sequence
from subprocess import DEVNULL, PIPE
from typing import Final, NamedTuple, cast

from unspool.executor.group_killer import kill_processes_of
from unspool.executor.process_groups import ProcessGroups
from unspool.executor.process_output import Output, OutputTooLarge

_DRAIN_SECONDS: Final = 0.5
"""How long output is read after the process has ended, if its children hold its pipes open."""

_START_LINE: Final = b"\n"
_WAIT_FOR_START_LINE: Final = "read -r _ || exit; "
"""A script waits for this line, which is sent after its process group is registered. Without it, it exits."""


class ProcessResult(NamedTuple):
    """Exit code and output of a process (dsl-reference.md, "Process Result")."""

    code: int
    """Exit code; 128 + n when the process was killed by signal n, as in shells."""
    stdout: str
    stderr: str


class Limits(NamedTuple):
    """Limits of the processes of a script. Linux enforces them; other systems ignore them."""

    memory: int | None = None
    """Memory that each process has for itself, in bytes. Memory that processes share does not count."""
    processes: int | None = None
    """Processes and threads of the user, those outside of the script included. Linux does not limit root."""


NO_LIMITS: Final = Limits()


class _OutputCapture(asyncio.SubprocessProtocol):
    """Collects the output of a process. Sees its end even if a child holds its pipes open."""

    def __init__(self, output: Output) -> None:
        loop = asyncio.get_running_loop()
        self.output = output
        self.finished: asyncio.Future[None] = loop.create_future()
        """The process has ended or wrote too much."""
        self.exited: asyncio.Future[None] = loop.create_future()
        self.drained: asyncio.Future[None] = loop.create_future()
        """Both pipes are closed."""
        self._writers = {1, 2}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.output.add(fd, data)
        if self.output.overflow is not None:
            _resolve(self.finished)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._writers.discard(fd)
        if not self._writers:
            _resolve(self.drained)

    def process_exited(self) -> None:
        _resolve(self.exited)
        _resolve(self.finished)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def run(
    script: str,
    arguments: Sequence[str],
    *,
    stdin: bytes,
    environment: Mapping[str, str],
    directory: str,
    output: Output,
    kill_grace: float,
    groups: ProcessGroups,
    limits: Limits = NO_LIMITS,
) -> ProcessResult:
    """Runs a script in a new session to its end, then kills the rest of its process group.

    It also kills processes that have left the group: those that work in the directory, which belongs to this
    script alone, or have it in their environment.

    Meanwhile the group is registered in `groups`, so that it is killed if this process dies. If the call is
    cancelled, it sends SIGTERM to the group, waits up to `kill_grace` seconds, and sends SIGKILL.

    Raises:
        OutputTooLarge: the script wrote more than the limit of `output`, and was killed.
        OSError: the script could not be started.
    """
    loop = asyncio.get_running_loop()
    transport, capture = await loop.subprocess_exec(
        lambda: _OutputCapture(output),
        *("sh", "-c", _WAIT_FOR_START_LINE + script, "sh", *arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=directory,
        env=environment,
        start_new_session=True,
    )
    try:
        groups.add(transport.get_pid())
        _limit(transport.get_pid(), limits)
        _write_stdin(transport, _START_LINE + stdin)
        await _wait_until_finished(capture)
    except BaseException:
        _signal_group(transport, signal.SIGTERM)
        await asyncio.wait({capture.exited, capture.drained}, timeout=kill_grace)
        raise
    finally:
        _signal_group(transport, signal.SIGKILL)
        try:
            await asyncio.wait({capture.exited}, timeout=_DRAIN_SECONDS)
            await asyncio.to_thread(kill_processes_of, directory)
        finally:  # also when cancelled again
            groups.remove(transport.get_pid())
            transport.close()
    return _result(transport, capture)


def _limit(pid: int, limits: Limits) -> None:
    """Limits a process that waits for its start line, and so all its children."""
    if not hasattr(resource, "prlimit"):
        return
    values = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_DATA: limits.memory,
        resource.RLIMIT_NPROC: limits.processes,
    }
    for kind, value in values.items():
        # The process may have ended, and an operator may have set a lower limit.
        with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
            if value is not None:
                resource.prlimit(pid, kind, (value, value))


async def _wait_until_finished(capture: _OutputCapture) -> None:
    await asyncio.wait({capture.finished})
    if capture.output.overflow is not None:
        raise OutputTooLarge(capture.output.overflow)
    await asyncio.wait({capture.drained}, timeout=_DRAIN_SECONDS)


def _write_stdin(transport: asyncio.SubprocessTransport, stdin: bytes) -> None:
    pipe = cast("asyncio.WriteTransport", transport.get_pipe_transport(0))
    if not pipe.is_closing():  # the process may have ended; then uvloop refuses to write
        pipe.write(stdin)
        pipe.close()  # after all is written


def _signal_group(transport: asyncio.SubprocessTransport, number: signal.Signals) -> None:
    # The process leads its session, so the id of the group is its process id.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), number)


def _result(transport: asyncio.SubprocessTransport, capture: _OutputCapture) -> ProcessResult:
    code = transport.get_returncode()
    if code is None:
        raise RuntimeError("the process cannot be killed")
    output = capture.output
    return ProcessResult(code if code >= 0 else 128 - code, output.text(1), output.text(2))


async def start_detached(
    argv: Sequence[str], *, stdin: bytes, environment: Mapping[str, str], directory: str
) -> None:
    """Starts a process that moves its work to the background, and waits only for that process.

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
