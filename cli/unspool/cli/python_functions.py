"""The functions in Python, and the kinds of calls from packages, that a command has."""

import logging
import os
from collections.abc import Sequence

from unspool.cli.exits import CommandError
from unspool.cli.options import Extensions
from unspool.eventstore.settings import from_environment
from unspool.executor.functions.function_set import NO_FUNCTIONS, FunctionSet
from unspool.executor.settings import ExecutorSettings

log = logging.getLogger(__name__)


def loaded_functions(extensions: Extensions) -> FunctionSet:
    """Returns the functions of modules and files, and the kinds of calls from packages.

    What is not given is as `UNSPOOL_FUNCTIONS` and `UNSPOOL_TASKS` say. A kind that cannot be used is logged.

    Raises:
        BadFunctions: a module cannot be imported or used.
    """
    settings = from_environment(ExecutorSettings, os.environ)
    places = extensions.functions or settings.functions.split()
    kinds = extensions.tasks or settings.tasks.split()
    if not (places or kinds):
        return NO_FUNCTIONS
    from unspool.executor.functions.installed_kinds import load_kinds  # noqa: PLC0415 - only for functions
    from unspool.executor.functions.loading import load_functions  # noqa: PLC0415 - only for functions

    return load_functions(places).joined(load_kinds(kinds))


def of_queues(functions: FunctionSet, queues: Sequence[str]) -> FunctionSet:
    """Returns the functions of some queues.

    Without queues, returns those without a queue of their own: the others need special machines. Logs a
    warning for them.

    Raises:
        CommandError: a queue has no function.
    """
    if queues:
        for queue in queues:
            if queue not in functions.queues:
                known = ", ".join(sorted(functions.queues)) or "none"
                raise CommandError(f"no function has the queue {queue!r}; they have {known}")
        return functions.only(lambda each: each.queue in queues)
    for queue in sorted({each.queue for each in functions if each.special}):
        names = ", ".join(each.identity for each in functions if each.queue == queue)
        log.warning(
            "this executor does not run %s: it needs --queue %s", names, queue, extra={"action": "not_served"}
        )
    return functions.only(lambda each: not each.special)
