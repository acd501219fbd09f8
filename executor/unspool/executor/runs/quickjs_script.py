"""A program that runs one script in the embedded engine QuickJS, with the parts of Node that scripts use.

Arguments: the memory of the engine in bytes, a script that defines variables, the script, and its arguments.
`quickjs_node.js` defines `console`, `process`, timers, and the modules `fs` and `process`.
"""

import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import quickjs

_NODE = Path(__file__).with_name("quickjs_node.js")

_STACK_BYTES = 4 * 1024 * 1024
"""Half of the usual stack of a process."""

_IMPORT = re.compile(
    r"""^[ \t]*import\s*(?:(?P<default>[\w$]+)\s*,?\s*)?(?:\*\s*as\s+(?P<all>[\w$]+)|\{(?P<names>[^}]*)\})?"""
    r"""\s*(?:from\s*)?(?P<quote>["'])(?P<module>[^"'\n]+)(?P=quote)[ \t]*;?""",
    re.MULTILINE,
)


def main(memory: int, variables: str, script: str, arguments: list[str]) -> int:
    """Runs a script; returns its exit code."""
    context = quickjs.Context()
    context.set_memory_limit(memory)
    context.set_max_stack_size(_STACK_BYTES)
    for name, function in {"write": _write, "stdin": _stdin, "exit": _exit, "now": time.monotonic}.items():
        context.add_callable(f"__{name}", function)
    environment = context.parse_json(json.dumps(dict(os.environ)))
    argv = context.parse_json(json.dumps([sys.executable, os.path.realpath(script), *arguments]))
    loop = context.eval(_NODE.read_text(encoding="utf-8"))(environment, argv)
    try:
        context.eval(Path(variables).read_text(encoding="utf-8"))
        code = Path(script).read_text(encoding="utf-8")
        context.eval(f"(async function () {{{_IMPORT.sub(_as_constants, code)}\n}})().catch(__failed)")
        _run(context, loop)
    except quickjs.JSException as error:
        _write(2, f"{error}\n")
        return 1
    return int(context.eval("process.exitCode ?? 0"))


def _run(context: Any, loop: Any) -> None:
    """Runs what is pending, and timers when they are due, until there is nothing left."""
    while True:
        while context.execute_pending_job():
            pass
        wait = loop()
        if wait is None:
            return
        time.sleep(max(wait, 0))


def _as_constants(statement: re.Match[str]) -> str:
    """An `import` as declarations of constants, with as many lines."""
    module = f"__module({json.dumps(statement['module'])})"
    parts = []
    if statement["default"]:
        parts.append(f"const {statement['default']} = {module};")
    if statement["all"]:
        parts.append(f"const {statement['all']} = {module};")
    if statement["names"] is not None:
        names = re.sub(r"([\w$]+)\s+as\s+([\w$]+)", r"\1: \2", statement["names"])
        parts.append(f"const {{{names}}} = {module};")
    text = " ".join(parts) or f"{module};"
    return text + "\n" * (statement[0].count("\n") - text.count("\n"))


def _write(fd: int, text: str) -> None:
    data = memoryview(text.encode("utf-8", "replace"))
    while data:
        data = data[os.write(int(fd), data) :]


def _stdin() -> str:
    return sys.stdin.buffer.read().decode("utf-8", "replace")


def _exit(code: int) -> None:
    os._exit(int(code) & 255)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]))
