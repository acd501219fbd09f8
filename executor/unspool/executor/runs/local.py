"""Runs programs on the machine of the executor, each in its own process group and its own directory."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from unspool.definitions import errors
from unspool.eventstore.monitoring.trace_context import trace_context
from unspool.executor.outcome import Completed, Faulted, Outcome
from unspool.executor.process import Limits, run, start_detached
from unspool.executor.process_groups import ProcessGroups
from unspool.executor.process_output import Output, OutputTooLarge
from unspool.executor.runs.options import ProcessOptions
from unspool.executor.runs.result import outcome_of
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext

RUN_ARGUMENTS: Final = 'exec "$@"'
"""A script that runs its arguments as a program."""

_DETACHED: Final = (
    "umask 077; directory=$1 command=$2; shift 2; exec 3<&0; "
    '( sh -c "$command" sh "$@"; rm -rf -- "$directory" ) <&3 3<&- &'
)
"""Runs the command in the background and removes its directory when it ends."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run."""

    what: str
    """Names it in errors: "command"."""
    script: str
    """For `sh`."""
    arguments: tuple[str, ...]
    """Of the script."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Files by name. They are in the parent of the working directory."""
    memory: int | None = None
    """What each process may use, in bytes; None: no limit."""
    seconds: float | None = None
    """How long it may run; None: no limit."""


class LocalRuns:
    """Runs programs, each in its own process group and its own empty directory."""

    def __init__(self, settings: ExecutorSettings, groups: ProcessGroups) -> None:
        self._settings = settings
        self._groups = groups

    async def run(self, program: Program, options: ProcessOptions, context: TaskContext) -> Outcome:
        """Runs a program. When it ends, the rest of its process group is killed.

        Its newest output is the progress of the task.

        A program that is not awaited is only started.
        """
        try:
            if not options.awaits:
                return await _start_detached(program, options)
            directory = _new_directory()
            limit, secrets = self._settings.shell_max_output_bytes, options.environment.values()
            output = Output(limit, context.report, secrets)
            try:
                self._groups.add_directory(directory)
                return await self._run(program, options, directory, output)
            finally:
                output.close()
                await asyncio.shield(self._remove(directory))
        except OSError as error:
            return Faulted(errors.runtime(f"the {program.what} could not be started: {error.strerror}"))
        except OutputTooLarge as error:
            return Faulted(errors.runtime(str(error), title="Output too large"))

    async def _run(
        self, program: Program, options: ProcessOptions, directory: str, output: Output
    ) -> Outcome:
        work = _prepared(directory, program.files)
        try:
            async with asyncio.timeout(program.seconds):
                result = await run(
                    f"umask 077; {program.script}",
                    program.arguments,
                    stdin=options.stdin,
                    environment=_environment(options, work),
                    directory=work,
                    output=output,
                    kill_grace=self._settings.shell_kill_grace_seconds,
                    groups=self._groups,
                    limits=Limits(program.memory, self._settings.run_max_processes or None),
                )
        except TimeoutError:
            return Faulted(errors.timeout(f"the {program.what} took longer than {program.seconds:g} s"))
        return outcome_of(options, result, program.what, directory)

    async def _remove(self, directory: str) -> None:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        self._groups.remove_directory(directory)


async def _start_detached(program: Program, options: ProcessOptions) -> Outcome:
    directory = _new_directory()
    try:
        work = _prepared(directory, program.files)
        await start_detached(
            ("sh", "-c", _DETACHED, "sh", directory, program.script, *program.arguments),
            stdin=options.stdin,
            environment=_environment(options, work),
            directory=work,
        )
    except OSError:
        shutil.rmtree(directory, ignore_errors=True)  # it has only our files
        raise
    return Completed(None)


def _new_directory() -> str:
    return tempfile.mkdtemp(prefix="unspool-")


def _prepared(directory: str, files: Mapping[str, str]) -> str:
    """Writes the files; returns the empty working directory."""
    if not files:
        return directory
    for name, text in files.items():
        Path(directory, name).write_text(text, encoding="utf-8", newline="")
    work = Path(directory, "work")
    work.mkdir(mode=0o700)
    return str(work)


def _environment(options: ProcessOptions, directory: str) -> dict[str, str]:
    path = os.environ.get("PATH", os.defpath)
    context = {name.upper(): value for name, value in trace_context.get().items()}
    return {"PATH": path, "HOME": directory, "LANG": "C.UTF-8", **context, **options.environment}
