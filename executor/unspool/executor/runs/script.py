"""The handler of the `script` queue (dsl-reference.md, "Script Process"; inventory I60)."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from unspool.definitions.tasks import run_script
from unspool.definitions.tasks.request import DOCUMENTS
from unspool.eventstore.records import TaskRequest
from unspool.executor.kinds import HandlerServices
from unspool.executor.outcome import Faulted, Outcome, Rejected, reject
from unspool.executor.runs.javascript import javascript_program
from unspool.executor.runs.local import LocalRuns, Program
from unspool.executor.runs.options import ProcessOptions, process_options
from unspool.executor.runs.permission import allowed, not_allowed
from unspool.executor.runs.python import python_program
from unspool.executor.runs.script_source import ScriptSource
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext

_PROGRAMS: Final[Mapping[str, Callable[[ScriptSource, ExecutorSettings], Program]]] = {
    run_script.JAVASCRIPT: javascript_program,
    run_script.PYTHON: python_program,
}


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["ScriptRun"]:
    """Opens the handler."""
    settings = services.settings
    yield ScriptRun(LocalRuns(settings, services.groups), settings, allowed="script" in allowed(settings))


class ScriptRun:
    """Runs `run: script` tasks."""

    def __init__(self, runs: LocalRuns, settings: ExecutorSettings, *, allowed: bool) -> None:
        self._runs = runs
        self._settings = settings
        self._allowed = allowed

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Runs one script."""
        if not self._allowed:
            return Faulted(not_allowed("script"))
        try:
            program, options = prepare(request, await _code(request, context), self._settings)
        except Rejected as rejected:
            return Faulted(rejected.error)
        return await self._runs.run(program, options, context)


async def _code(request: TaskRequest, context: TaskContext) -> str:
    """The code, inline or from the source, which was fetched for the execution. Raises `Rejected`."""
    if (documents := request.arguments.get(DOCUMENTS)) is not None:
        return await context.text(documents[run_script.SOURCE]["sha256"])
    code = request.arguments["code"]
    if not isinstance(code, str):
        reject("code must be a text")
    return code


def prepare(request: TaskRequest, code: str, settings: ExecutorSettings) -> tuple[Program, ProcessOptions]:
    """Reads the arguments of a `script` task.

    Raises:
        Rejected: an argument is invalid; the `configuration` error names it.
    """
    options = process_options(request.arguments)
    arguments = request.arguments.get("arguments")
    source = ScriptSource(code, options.arguments, arguments if isinstance(arguments, dict) else {})
    return _PROGRAMS[request.arguments["language"]](source, settings), options
