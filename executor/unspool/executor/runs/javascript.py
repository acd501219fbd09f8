"""Scripts in JavaScript: Node where it is installed, else the embedded engine QuickJS."""

import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import orjson

from unspool.executor.outcome import reject
from unspool.executor.runs.local import RUN_ARGUMENTS, Program
from unspool.executor.runs.script_source import ScriptSource
from unspool.executor.settings import MEBIBYTE, ExecutorSettings

_AUTO: Final = "auto"
_QUICKJS: Final = "quickjs"

_QUICKJS_SCRIPT: Final = Path(__file__).with_name("quickjs_script.py")
_QUICKJS_INTERPRETER_BYTES: Final = 64 * MEBIBYTE
"""What Python, in which QuickJS runs, needs for itself."""

_VARIABLES: Final = "variables.cjs"

_MODULE: Final = re.compile(
    r"""^[ \t]*(?:import\s*["'{*]|import\s+[\w$]|export\s)|^(?:(?:const|let|var)\s[^\n=]*=\s*)?await\s""",
    re.MULTILINE,
)
"""What only a module has: `import` and `export` statements, and `await` outside of functions."""


def javascript_program(source: ScriptSource, settings: ExecutorSettings) -> Program:
    """Returns the program that runs a script in JavaScript.

    Raises:
        Rejected: there is no engine; the `configuration` error says how to get one.
    """
    chosen = settings.script_javascript
    if chosen != _QUICKJS and (node := shutil.which("node" if chosen == _AUTO else chosen)) is not None:
        return _node_program(node, source, settings)
    if chosen not in {_AUTO, _QUICKJS}:
        reject(f"this executor has no {chosen!r} for scripts in JavaScript (UNSPOOL_SCRIPT_JAVASCRIPT)")
    if find_spec("quickjs") is None:
        reject(
            "this executor has nothing that runs JavaScript; install Node on its machine, or the embedded "
            "engine with: pip install 'unspool[js]'"
        )
    return _quickjs_program(source, settings)


def _node_program(node: str, source: ScriptSource, settings: ExecutorSettings) -> Program:
    name = "script.mjs" if _MODULE.search(source.code) else "script.cjs"
    heap = f"--max-old-space-size={max(settings.script_memory_mb * 3 // 4, 1)}"
    files = {name: source.code}
    require: tuple[str, ...] = ()
    if source.variables:
        files[_VARIABLES] = _variables(source)
        require = ("--require", f"../{_VARIABLES}")
    return Program(
        what="script",
        script=RUN_ARGUMENTS,
        arguments=(node, heap, *require, f"../{name}", *source.argv),
        files=files,
        memory=settings.script_memory_mb * MEBIBYTE,
        seconds=settings.script_timeout_seconds,
    )


def _quickjs_program(source: ScriptSource, settings: ExecutorSettings) -> Program:
    memory = settings.script_memory_mb * MEBIBYTE
    python = (sys.executable, "-I", "-B", "-X", "utf8", str(_QUICKJS_SCRIPT))
    return Program(
        what="script",
        script=RUN_ARGUMENTS,
        arguments=(*python, str(memory), f"../{_VARIABLES}", "../script.js", *source.argv),
        files={"script.js": source.code, _VARIABLES: _variables(source)},
        memory=memory + _QUICKJS_INTERPRETER_BYTES,
        seconds=settings.script_timeout_seconds,
    )


def _variables(source: ScriptSource) -> str:
    """A script that defines arguments by name, unless JavaScript has something of that name (I60)."""
    values = orjson.dumps(orjson.dumps(dict(source.variables)).decode()).decode()
    return (
        f"for (const [name, value] of Object.entries(JSON.parse({values})))\n"
        "  if (!(name in globalThis)) globalThis[name] = value;\n"
    )
