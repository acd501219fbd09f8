"""Why the standard errors are raised, and what to do then (docs/reference/errors.md)."""

from types import MappingProxyType
from typing import Final, NamedTuple


class Cause(NamedTuple):
    """Why there is an error, and what to do about it."""

    cause: str
    advice: str


CAUSES: Final = MappingProxyType(
    {
        "configuration": Cause(
            "the definition asks for something that is impossible, which was found only at run time",
            "change the definition, the document it refers to, or the installation, as the detail says; "
            "a retry of the same definition fails again",
        ),
        "validation": Cause(
            "data does not match its schema: the input of the workflow or of a task, an output, or the "
            "arguments of a call",
            "compare the data with the schema; the detail names the place in the data",
        ),
        "expression": Cause(
            "an expression cannot be evaluated, or exceeds its limits of time or memory",
            "`instance` names the place of the expression; look at its data with `unspool replay ID --at N`",
        ),
        "authentication": Cause(
            "credentials are missing, or the service or the token endpoint refused them",
            "check the secret, and whether the executor has it",
        ),
        "authorization": Cause(
            "the workflow may not use this secret, address or kind of task",
            "allow it with the setting that the detail names, if it should be allowed",
        ),
        "timeout": Cause(
            "a task, or the workflow, took longer than its `timeout`",
            "look at what it waited for (`unspool executions why ID`), or raise the timeout",
        ),
        "communication": Cause(
            "a call failed: there was no answer, or an answer without success, whose status the error has",
            "catch it and retry, for example `catch: { errors: { with: { status: 503 } }, retry: … }`; for a "
            "4xx, change the request",
        ),
        "runtime": Cause(
            "a process, a function or a sub-workflow failed, or a limit of Unspool was reached",
            "the detail has the end of standard error, or the limit; the executor logs the traceback",
        ),
    }
)
"""The causes by kind of error. `errors.STANDARD` has the kinds with their default status."""
