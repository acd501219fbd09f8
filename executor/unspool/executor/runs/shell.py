"""The handler of the `shell` queue (dsl-reference.md, "Shell Process"; inventory I55-I58, I61)."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from unspool.eventstore.records import TaskRequest
from unspool.executor.kinds import HandlerServices
from unspool.executor.outcome import Faulted, Outcome, Rejected
from unspool.executor.runs.local import LocalRuns, Program
from unspool.executor.runs.options import ProcessOptions, process_options, without_nul
from unspool.executor.runs.permission import allowed, not_allowed
from unspool.executor.task_context import TaskContext

_PROGRAM: Final = re.compile(r"[A-Za-z0-9_@%+:,./-]+")
"""The name or path of a program, without characters that are special in a shell."""


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["ShellRun"]:
    """Opens the handler."""
    settings = services.settings
    yield ShellRun(LocalRuns(settings, services.groups), allowed="shell" in allowed(settings))


class ShellRun:
    """Runs `run: shell` tasks."""

    def __init__(self, runs: LocalRuns, *, allowed: bool) -> None:
        self._runs = runs
        self._allowed = allowed

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Runs one command."""
        if not self._allowed:
            return Faulted(not_allowed("shell"))
        try:
            program, options = prepare(request)
        except Rejected as rejected:
            return Faulted(rejected.error)
        return await self._runs.run(program, options, context)


def prepare(request: TaskRequest) -> tuple[Program, ProcessOptions]:
    """Reads the arguments of a `shell` task.

    Raises:
        Rejected: an argument is invalid; the `configuration` error names it.
    """
    options = process_options(request.arguments)
    command = without_nul(request.arguments["command"], "command")
    script, arguments = shell_script(command, options.arguments)
    return Program("command", script, arguments), options


def shell_script(command: str, arguments: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Returns the shell script to run and its arguments.

    A command that is only a program's name is run with the arguments: the shell would ignore them (I61).
    """
    program = command.strip()
    if arguments and _PROGRAM.fullmatch(program):
        return '"$@"', (program, *arguments)
    return command, arguments
