"""The handler of the `shell` queue (dsl-reference.md, "Shell Process"; inventory I55-I58, I61)."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NoReturn

import orjson

from unspool.definitions import errors
from unspool.definitions.json_value import Json
from unspool.eventstore.records import TaskRequest
from unspool.executor.masking import masked
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected
from unspool.executor.process import OutputTooLarge, ProcessResult, detach, run
from unspool.executor.settings import ExecutorSettings

_RETURNS: Final = frozenset({"stdout", "stderr", "code", "all", "none"})

_SHOWS_FAILURE: Final = frozenset({"code", "stderr", "all"})
"""Return modes that let an author see a failure; with the others a non-zero exit is an error (I57)."""

_STDERR_TAIL: Final = 500

_DETACHED: Final = (
    "umask 077; directory=$1 command=$2; shift 2; exec 3<&0; "
    '( sh -c "$command" sh "$@"; rm -rf -- "$directory" ) <&3 3<&- &'
)
"""Leaves the command to itself: it ends when it ends, its directory is removed then, nobody waits for it."""


@dataclass(frozen=True, slots=True)
class ShellCommand:
    """A command ready to be run."""

    command: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    """What the author declared; everything else is kept from the command."""
    stdin: bytes
    returns: str
    awaits: bool


class ShellRun:
    """Does `run: shell` tasks, each in its own process group and its own empty directory."""

    def __init__(self, settings: ExecutorSettings) -> None:
        self._settings = settings

    async def __call__(self, request: TaskRequest) -> Outcome:
        """Runs one command; whatever it leaves running in its process group is killed with it."""
        if not self._settings.allow_shell:
            return Faulted(errors.authorization("run: shell is not allowed here (UNSPOOL_ALLOW_SHELL)"))
        try:
            command = prepare(request)
            directory = tempfile.mkdtemp(prefix="unspool-")
            if not command.awaits:
                return await _leave(command, directory)
            try:
                return await self._run(command, directory)
            finally:
                await asyncio.shield(asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True))
        except Rejected as rejected:
            return Faulted(rejected.error)
        except OSError as error:
            return Faulted(errors.runtime(f"the command could not be started: {error.strerror}"))

    async def _run(self, command: ShellCommand, directory: str) -> Outcome:
        try:
            result = await run(
                ("sh", "-c", f"umask 077; {command.command}", "sh", *command.arguments),
                stdin=command.stdin,
                environment=_environment(command, directory),
                directory=directory,
                max_output=self._settings.shell_max_output_bytes,
                kill_grace=self._settings.shell_kill_grace_seconds,
            )
        except OutputTooLarge as error:
            return Faulted(errors.runtime(str(error), title="Output too large"))
        return _outcome(command, result)


async def _leave(command: ShellCommand, directory: str) -> Outcome:
    await detach(
        ("sh", "-c", _DETACHED, "sh", directory, command.command, *command.arguments),
        stdin=command.stdin,
        environment=_environment(command, directory),
        directory=directory,
    )
    return Completed(None)


def prepare(request: TaskRequest) -> ShellCommand:
    """Reads the arguments of a `shell` task.

    Raises:
        Rejected: something in them cannot be run; a `configuration` error that names it.
    """
    arguments = request.arguments
    returns = arguments.get("return", "stdout")
    if not isinstance(returns, str) or returns not in _RETURNS:
        _refuse(f"return must be one of {', '.join(sorted(_RETURNS))}, not {returns!r}")
    stdin = arguments.get("stdin")
    return ShellCommand(
        command=_word(arguments["command"], "command"),
        arguments=tuple(_words(arguments.get("arguments"))),
        environment=_declared(arguments.get("environment")),
        stdin=b"" if stdin is None else _text(stdin).encode(),
        returns=returns,
        awaits=arguments.get("await", True) is not False,
    )


def _words(arguments: Json) -> Iterator[str]:
    """Arguments as argv: a list as it is, a map as `--name value` (inventory I61, I60)."""
    match arguments:
        case None:
            return
        case list():
            yield from (_word("" if item is None else item, "an argument") for item in arguments)
        case dict():
            for name, value in arguments.items():
                if value is None or value is False:
                    continue
                yield _word(f"--{name}", "an argument's name")
                if value is not True:
                    yield _word(value, f"argument {name!r}")
        case _:
            _refuse("arguments must be a list or a map")


def _declared(environment: Json) -> dict[str, str]:
    if environment is None:
        return {}
    if not isinstance(environment, dict):
        _refuse("environment must be a map")
    for name in environment:
        if not name or "=" in name or "\0" in name:
            _refuse(f"{name!r} is no name for an environment variable")
    return {
        name: _word(value, f"environment variable {name!r}")
        for name, value in environment.items()
        if value is not None
    }


def _word(value: Json, what: str) -> str:
    text = _text(value)
    if "\0" in text:
        _refuse(f"{what} has a NUL character")
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


def _refuse(detail: str) -> NoReturn:
    raise Rejected(errors.configuration(detail))
