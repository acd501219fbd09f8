"""A server that is a process of the executor: lines over its pipes, limits of its output, and a sure end."""

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from subprocess import PIPE
from typing import Final, cast

from unspool.executor.process_groups import ProcessGroups
from unspool.executor.temporary_directory import without_directory

_SCRIPT: Final = 'read -r _ || exit; umask 077; exec "$@"'
"""Waits for a line, which is sent after the process group is registered. Without it, it exits."""

_TAIL_BYTES: Final = 2000
"""How much of standard error is kept for errors."""

_EXIT_SECONDS: Final = 0.5
"""How long the exit code of a process may take whose output has ended, or that was killed."""


@dataclass(frozen=True, slots=True)
class ServerProgram:
    """A program with its evaluated arguments."""

    command: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    """The variables that the author declared."""


@dataclass(frozen=True, slots=True)
class ProcessLimits:
    """What a server may use."""

    output_bytes: int
    """Of standard output."""
    error_bytes: int
    """Of standard error."""
    processes: int | None
    """Processes and threads of the user. Linux does not limit root."""
    grace_seconds: float
    """Between the end of its input and SIGTERM, and between SIGTERM and SIGKILL."""


class ServerProcess(asyncio.SubprocessProtocol):
    """A running server."""

    def __init__(self, limits: ProcessLimits, directory: str) -> None:
        """Takes the temporary directory of the server, too, which errors do not show."""
        self.overflow: str | None = None
        """The name of the output that became too large."""
        self._limits = limits
        self._directory = directory
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._start: list[bytes] = []
        """The start of a line."""
        self._written = {1: 0, 2: 0}
        self._errors = bytearray()
        self._exited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.SubprocessTransport

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines of standard output, without empty ones, until it ends or is too large."""
        while (line := await self._lines.get()) is not None:
            if line.strip():
                yield line

    def write(self, line: bytes) -> None:
        """Writes a line to standard input. It is lost if the server has closed it."""
        pipe = self._input()
        if not pipe.is_closing():
            pipe.write(line + b"\n")

    async def end(self) -> str:
        """How the server has ended, for an error: the exit code and the end of standard error."""
        await asyncio.wait({self._exited}, timeout=_EXIT_SECONDS)
        code = self._transport.get_returncode()
        how = "it has closed its output" if code is None else f"it has ended with exit code {_shown(code)}"
        errors = self._errors.decode("utf-8", "replace")
        tail = without_directory(errors, self._directory).strip()
        return f"{how}: {tail}" if tail else how

    async def stop(self) -> None:
        """Ends the server as the specification says, then kills its process group."""
        if not self._input().is_closing():
            self._input().close()
        await asyncio.wait({self._exited}, timeout=self._limits.grace_seconds)
        if not self._exited.done():
            self._signal(signal.SIGTERM)
            await asyncio.wait({self._exited}, timeout=self._limits.grace_seconds)
        self._signal(signal.SIGKILL)
        await asyncio.wait({self._exited}, timeout=_EXIT_SECONDS)
        self._transport.close()

    # -- asyncio.SubprocessProtocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Collects lines and the end of standard error."""
        self._written[fd] += len(data)
        limit = self._limits.output_bytes if fd == 1 else self._limits.error_bytes
        if self._written[fd] > limit:
            self.overflow = "standard output" if fd == 1 else "standard error"
            self._lines.put_nowait(None)
        elif fd == 1:
            self._collect(data)
        else:
            self._errors += data
            del self._errors[:-_TAIL_BYTES]

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Ends the lines with standard output."""
        if fd == 1:
            self._lines.put_nowait(None)

    def process_exited(self) -> None:
        """Ends the lines, because a child may hold the output open."""
        if not self._exited.done():
            self._exited.set_result(None)
        self._lines.put_nowait(None)

    def _collect(self, data: bytes) -> None:
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._lines.put_nowait(b"".join((*self._start, part)))
            self._start = []
        self._start.append(rest)

    def _input(self) -> asyncio.WriteTransport:
        return cast("asyncio.WriteTransport", self._transport.get_pipe_transport(0))

    def _signal(self, number: signal.Signals) -> None:
        # The process leads its session, so the id of the group is its process id.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._transport.get_pid(), number)


@asynccontextmanager
async def started(
    program: ServerProgram, limits: ProcessLimits, groups: ProcessGroups
) -> AsyncIterator[ServerProcess]:
    """A server in a session and an empty directory of its own. Both end with the context.

    Raises:
        OSError: it cannot be started.
    """
    directory = await asyncio.to_thread(tempfile.mkdtemp, prefix="unspool-")
    try:
        groups.add_directory(directory)
        async with _running(program, limits, groups, directory) as server:
            yield server
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True))
        groups.remove_directory(directory)


@asynccontextmanager
async def _running(
    program: ServerProgram, limits: ProcessLimits, groups: ProcessGroups, directory: str
) -> AsyncIterator[ServerProcess]:
    transport, server = await asyncio.get_running_loop().subprocess_exec(
        lambda: ServerProcess(limits, directory),
        *("sh", "-c", _SCRIPT, "sh", program.command, *program.arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        cwd=directory,
        env=_environment(program, directory),
        start_new_session=True,
    )
    pid = transport.get_pid()
    try:
        groups.add(pid)
        _limit(pid, limits)
        server.write(b"")
        yield server
    finally:
        stopping = asyncio.create_task(server.stop())
        stopping.add_done_callback(lambda _: groups.remove(pid))
        await asyncio.shield(stopping)


def _environment(program: ServerProgram, directory: str) -> dict[str, str]:
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": directory, "LANG": "C.UTF-8", **program.environment}


def _limit(pid: int, limits: ProcessLimits) -> None:
    """Limits a process that waits for its first line, and so all its children."""
    if not hasattr(resource, "prlimit"):
        return
    values = {resource.RLIMIT_CORE: 0, resource.RLIMIT_NPROC: limits.processes}
    for kind, value in values.items():
        # The process may have ended, and an operator may have set a lower limit.
        with contextlib.suppress(ProcessLookupError, PermissionError, ValueError):
            if value is not None:
                resource.prlimit(pid, kind, (value, value))


def _shown(code: int) -> int:
    """An exit code as shells show it: 128 + n for signal n."""
    return code if code >= 0 else 128 - code
