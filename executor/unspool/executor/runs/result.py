"""The outcome of a process that has ended, by its `return` (inventory I56, I57)."""

from typing import Final

from unspool.definitions import errors
from unspool.executor.masking import EnvironmentMask, masked
from unspool.executor.outcome import Completed, Faulted, Outcome
from unspool.executor.process import ProcessResult
from unspool.executor.runs.options import ProcessOptions
from unspool.executor.temporary_directory import without_directory

_SHOWS_FAILURE: Final = frozenset({"code", "stderr", "all"})
"""Return modes that show a failure; with the others a non-zero exit code is an error (I57)."""

_STDERR_TAIL: Final = 2000
"""Characters of the standard error in an error. Stack traces of Node are long."""


def outcome_of(
    options: ProcessOptions, result: ProcessResult, what: str, directory: str | None = None
) -> Outcome:
    """Returns the outcome of a process.

    Args:
        options: of the process.
        result: exit code and output.
        what: names the process in errors: "command".
        directory: the temporary directory of the process, which errors do not show; None if it has none.
    """
    if result.code != 0 and options.returns not in _SHOWS_FAILURE:
        if directory is not None:
            result = result._replace(stderr=without_directory(result.stderr, directory))
        return Faulted(_failure(options, result, what))
    match options.returns:
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


def _failure(options: ProcessOptions, result: ProcessResult, what: str) -> errors.WorkflowError:
    tail = masked(EnvironmentMask(options.environment.values()).text(result.stderr.strip()))[-_STDERR_TAIL:]
    detail = f"the {what} ended with exit code {result.code}"
    return errors.runtime(f"{detail}: {tail}" if tail else detail, title=f"{what.capitalize()} failed")
