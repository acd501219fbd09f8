"""Compiles `.proto` files in a child process: their author may be hostile."""

import asyncio
import base64
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from unspool.definitions.errors import configuration
from unspool.executor.grpc import protoc_child
from unspool.executor.grpc.proto_files import ProtoFiles
from unspool.executor.outcome import Rejected
from unspool.executor.process import ProcessResult, run
from unspool.executor.process_groups import ProcessGroups
from unspool.executor.process_output import Output, OutputTooLarge

SECONDS: Final = 20.0
"""How long one compilation may take."""

_AT_ONCE: Final = 2
_MOST_OUTPUT: Final = 16 * 1024 * 1024
_SHOWN_LINES: Final = 3
_SHOWN_CHARACTERS: Final = 500
_PROBLEM: Final = re.compile(r"[^\s:]+:\d+:\d+: |\S+\.proto: |\S+: it cannot be written")
"""The start of a line with a problem. An address need not end with `.proto`, so a name of a file need not."""


class Protoc:
    """Runs the compiler, few at once."""

    def __init__(self, groups: ProcessGroups) -> None:
        self._groups = groups
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def descriptors(self, text: str) -> bytes:
        """The descriptors of a text of `ProtoFiles`, as a serialized `FileDescriptorSet`.

        Raises:
            Rejected: the files do not compile within the limits; the error has the messages of the compiler.
        """
        try:
            ProtoFiles.from_text(text)
        except ValueError:
            raise _rejected("an executor of an earlier release has fetched it") from None
        async with self._free:
            try:
                async with asyncio.timeout(SECONDS), self._directory() as directory:
                    result = await self._run(text, directory)
            except TimeoutError:
                raise _rejected(f"it takes more than {SECONDS:g} s") from None
            except OutputTooLarge as error:
                raise _rejected(str(error)) from None
        if result.code != 0:
            raise _rejected(_cause(result))
        return base64.b64decode(result.stdout)

    async def _run(self, text: str, directory: str) -> ProcessResult:
        return await run(
            'exec "$@"',
            [sys.executable, "-I", "-B", protoc_child.__file__],
            stdin=text.encode("utf-8", "replace"),
            environment={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            directory=directory,
            output=Output(_MOST_OUTPUT),
            kill_grace=0,
            groups=self._groups,
        )

    @asynccontextmanager
    async def _directory(self) -> AsyncIterator[str]:
        """An empty directory, which is removed also if this process dies."""
        directory = tempfile.mkdtemp(prefix="unspool-proto-")
        self._groups.add_directory(directory)
        try:
            yield directory
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True))
            self._groups.remove_directory(directory)


def main_of(text: str) -> str:
    """The name of the file whose services are called."""
    return ProtoFiles.from_text(text).main


def _cause(result: ProcessResult) -> str:
    """What the compiler says; a child that a limit has stopped says nothing useful."""
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    problems = [line for line in lines if _PROBLEM.match(line) and ": warning:" not in line]
    if result.code >= 128:
        return "it takes too much time or memory"
    if not problems:
        return f"the compiler ended with {result.code}"
    more = f"; and {len(problems) - _SHOWN_LINES} more problems" if len(problems) > _SHOWN_LINES else ""
    return "; ".join(problems[:_SHOWN_LINES])[:_SHOWN_CHARACTERS] + more


def _rejected(cause: str) -> Rejected:
    return Rejected(
        configuration(f"the proto cannot be compiled: {cause}", title="Unusable external resource")
    )
