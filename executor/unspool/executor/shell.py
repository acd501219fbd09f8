"""The handler of the `shell` queue (dsl-reference.md, "Shell Process"; inventory I55-I58, I61)."""

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NoReturn

import orjson

from unspool.definitions import errors
from unspool.definitions.json_value import Json
from unspool.eventstore.records import TaskRequest
from unspool.executor.kinds import HandlerServices
from unspool.executor.masking import masked
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected
from unspool.executor.process import OutputTooLarge, ProcessResult, run, start_detached
from unspool.executor.process_groups import ProcessGroups
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext

_RETURNS: Final = frozenset({"stdout", "stderr", "code", "all", "none"})

_SHOWS_FAILURE: Final = frozenset({"code", "stderr", "all"})
"""Return modes that show a failure; with the others a non-zero exit code is an error (I57)."""

_STDERR_TAIL: Final = 500

_PROGRAM: Final = re.compile(r"[A-Za-z0-9_@%+:,./-]+")
"""The name or path of a program, without characters that are special in a shell."""

_DETACHED: Final = (
    "umask 077; directory=$1 command=$2; shift 2; exec 3<&0; "
    '( sh -c "$command" sh "$@"; rm -rf -- "$directory" ) <&3 3<&- &'
)
"""Runs the command in the background and removes its directory when it ends."""


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """A command with its evaluated arguments."""

    script: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    """The variables that the author declared."""
    stdin: bytes
    returns: str
    awaits: bool


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["ShellRun"]:
    """Opens the handler."""
    yield ShellRun(services.settings, services.groups)


class ShellRun:
    """Runs `run: shell` tasks, each in its own process group and its own empty directory."""

    def __init__(self, settings: ExecutorSettings, groups: ProcessGroups) -> None:
        self._settings = settings
        self._groups = groups

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:  # noqa: ARG002 - as all handlers
        """Runs one command. When it ends, the rest of its process group is killed."""
        if not self._settings.allow_shell:
            return Faulted(errors.authorization("run: shell is not allowed here (UNSPOOL_ALLOW_SHELL)"))
        try:
            command = prepare(request)
            if not command.awaits:
                return await _start_detached(command)
            directory = _new_directory()
            try:
                self._groups.add_directory(directory)
                return await self._run(command, directory)
            finally:
                await asyncio.shield(self._remove(directory))
        except Rejected as rejected:
            return Faulted(rejected.error)
        except OSError as error:
            return Faulted(errors.runtime(f"the command could not be started: {error.strerror}"))

    async def _run(self, command: ShellCommand, directory: str) -> Outcome:
        try:
            result = await run(
                f"umask 077; {command.script}",
                command.arguments,
                stdin=command.stdin,
                environment=_environment(command, directory),
                directory=directory,
                max_output=self._settings.shell_max_output_bytes,
                kill_grace=self._settings.shell_kill_grace_seconds,
                groups=self._groups,
            )
        except OutputTooLarge as error:
            return Faulted(errors.runtime(str(error), title="Output too large"))
        return _outcome(command, result)

    async def _remove(self, directory: str) -> None:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)
        self._groups.remove_directory(directory)


async def _start_detached(command: ShellCommand) -> Outcome:
    directory = _new_directory()
    try:
        await start_detached(
            ("sh", "-c", _DETACHED, "sh", directory, command.script, *command.arguments),
            stdin=command.stdin,
            environment=_environment(command, directory),
            directory=directory,
        )
    except OSError:
        shutil.rmtree(directory, ignore_errors=True)  # it is empty
        raise
    return Completed(None)


def _new_directory() -> str:
    return tempfile.mkdtemp(prefix="unspool-")


def prepare(request: TaskRequest) -> ShellCommand:
    """Reads the arguments of a `shell` task.

    Raises:
        Rejected: an argument is invalid; the `configuration` error names it.
    """
    arguments = request.arguments
    returns = arguments.get("return", "stdout")
    if not isinstance(returns, str) or returns not in _RETURNS:
        _reject(f"return must be one of {', '.join(sorted(_RETURNS))}, not {returns!r}")
    stdin = arguments.get("stdin")
    script, argv = _script(
        _without_nul(arguments["command"], "command"), tuple(_argv(arguments.get("arguments")))
    )
    return ShellCommand(
        script=script,
        arguments=argv,
        environment=_environment_variables(arguments.get("environment")),
        stdin=b"" if stdin is None else _text(stdin).encode(),
        returns=returns,
        awaits=arguments.get("await", True) is not False,
    )


def _script(command: str, arguments: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """The shell script to run and its arguments.

    A command that is only a program's name is run with the arguments: the shell would ignore them (I61).
    """
    program = command.strip()
    if arguments and _PROGRAM.fullmatch(program):
        return '"$@"', (program, *arguments)
    return command, arguments


def _argv(arguments: Json) -> Iterator[str]:
    """The arguments as argv: a list unchanged, a map as `--name value` (inventory I61, I60)."""
    match arguments:
        case None:
            return
        case list():
            yield from (_without_nul("" if item is None else item, "an argument") for item in arguments)
        case dict():
            for name, value in arguments.items():
                if value is None or value is False:
                    continue
                yield _without_nul(f"--{name}", "an argument's name")
                if value is not True:
                    yield _without_nul(value, f"argument {name!r}")
        case _:
            _reject("arguments must be a list or a map")


def _environment_variables(environment: Json) -> dict[str, str]:
    if environment is None:
        return {}
    if not isinstance(environment, dict):
        _reject("environment must be a map")
    for name in environment:
        if not name or "=" in name or "\0" in name:
            _reject(f"{name!r} is not a valid name of an environment variable")
    return {
        name: _without_nul(value, f"environment variable {name!r}")
        for name, value in environment.items()
        if value is not None
    }


def _without_nul(value: Json, what: str) -> str:
    text = _text(value)
    if "\0" in text:
        _reject(f"{what} contains a NUL character")
    return text


def _text(value: Json) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _environment(command: ShellCommand, directory: str) -> dict[str, str]:
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "HOME": directory, "LANG": "C.UTF-8", **command.environment}


def _outcome(command: ShellCommand, result: ProcessResult) -> Outcome:
    if result.code != 0 and command.returns not in _SHOWS_FAILURE:
        return Faulted(_failure(command, result))
    match command.returns:
        case "all":
            return Completed({"code": result.code, "stdout": result.stdout, "stderr": result.stderr})
        case "code":
            return Completed(result.code)
        case "none":
            return Completed(None)
        case "stderr":
            return Completed(result.stderr.removesuffix("\n"))
        case _:
            return Completed(result.stdout.removesuffix("\n"))


def _failure(command: ShellCommand, result: ProcessResult) -> errors.WorkflowError:
    tail = masked(result.stderr.strip(), command.environment.values())[-_STDERR_TAIL:]
    detail = f"the command ended with exit code {result.code}"
    return errors.runtime(f"{detail}: {tail}" if tail else detail, title="Command failed")


def _reject(detail: str) -> NoReturn:
    raise Rejected(errors.configuration(detail))
