"""Modules with functions, and calls of them as an executor makes them."""

import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import pytest
from tests.task_contexts import TextsInMemory, task_context

from unspool.eventstore.records import TaskRequest
from unspool.executor.functions.function_set import FunctionSet, ServedFunction
from unspool.executor.functions.loading import load_functions
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Outcome
from unspool.executor.settings import ExecutorSettings

HEADER = "from unspool.functions import Cancelled, Context, TaskError, function\n"


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """Writes a module in the current directory and returns its name. All are forgotten after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def write(text: str, name: str = "shop_functions") -> str:
        file = tmp_path / f"{name.replace('.', '/')}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(HEADER + textwrap.dedent(text))
        monkeypatch.delitem(sys.modules, name, raising=False)  # one that another test has imported
        return name

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


Call = Callable[..., Awaitable[Outcome]]


@pytest.fixture
async def served(modules: Callable[..., str], serve_functions) -> Callable[..., Awaitable[Call]]:
    """Loads a module and returns a function that calls its functions by name with an input."""

    async def serve(text: str, **settings) -> Call:
        return await serve_functions(load_functions([modules(text)]), **settings)

    return serve


@pytest.fixture
async def serve_functions() -> AsyncIterator[Callable[..., Awaitable[Call]]]:
    """Returns a function that calls functions by name with an input."""
    opened = []

    async def serve(some: Iterable[ServedFunction], **settings) -> Call:
        functions = FunctionSet(some)
        context = default_handlers(ExecutorSettings(**settings), functions=functions)
        handlers = await context.__aenter__()
        opened.append(context)

        async def call(name: str, input_=None, *, version=None, attempt=1, registered=(), **extra) -> Outcome:
            arguments = {"name": name, "input": input_, **extra}
            if version is not None:
                arguments["version"] = version
            request = TaskRequest("e1", "7", "/do/0/call", "function", arguments)
            store = TextsInMemory()
            store.registered = registered
            return await handlers["function"](request, task_context(store, attempt=attempt))

        return call

    yield serve
    for context in opened:
        await context.__aexit__(None, None, None)
