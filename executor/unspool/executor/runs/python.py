"""Scripts in Python: a separate interpreter that knows neither our packages nor our environment."""

import shutil
import sys
from pathlib import Path
from typing import Final

from unspool.executor.outcome import reject
from unspool.executor.runs.local import RUN_ARGUMENTS, Program
from unspool.executor.runs.script_source import ScriptSource
from unspool.executor.settings import MEBIBYTE, ExecutorSettings

_FILE: Final = "script.py"

_OPTIONS: Final = ("-I", "-B", "-X", "utf8")
"""No `PYTHON…` variables, no directory of the user, no bytecode files; UTF-8 everywhere."""


def python_program(source: ScriptSource, settings: ExecutorSettings) -> Program:
    """Returns the program that runs a Python script.

    Raises:
        Rejected: the interpreter of the operator does not exist.
    """
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

    That one does not see the packages of the virtual environment. Raises `Rejected`.
    """
    chosen = settings.script_python
    if not chosen:
        return getattr(sys, "_base_executable", None) or sys.executable
    if (found := shutil.which(chosen)) is None:
        reject(f"this executor has no {chosen!r} for scripts in Python (UNSPOOL_SCRIPT_PYTHON)")
    return str(Path(found).absolute())  # the script has another working directory
