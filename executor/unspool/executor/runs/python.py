"""Scripts in Python: a separate interpreter that knows neither our packages nor our environment."""

import sys
from typing import Final

from unspool.executor.runs.local import RUN_ARGUMENTS, Program
from unspool.executor.runs.script_source import ScriptSource
from unspool.executor.settings import MEBIBYTE, ExecutorSettings

_FILE: Final = "script.py"

_OPTIONS: Final = ("-I", "-B", "-X", "utf8")
"""No `PYTHON…` variables, no directory of the user, no bytecode files; UTF-8 everywhere."""


def python_program(source: ScriptSource, settings: ExecutorSettings) -> Program:
    """Returns the program that runs a Python script."""
    return Program(
        what="script",
        script=RUN_ARGUMENTS,
        arguments=(_interpreter(settings), *_OPTIONS, f"../{_FILE}", *source.argv),
        files={_FILE: source.code},
        memory=settings.script_memory_mb * MEBIBYTE,
        seconds=settings.script_timeout_seconds,
    )


def _interpreter(settings: ExecutorSettings) -> str:
    """The interpreter of the operator; else the one that our virtual environment was made with.

    That one does not see the packages of the virtual environment.
    """
    return settings.script_python or getattr(sys, "_base_executable", None) or sys.executable
