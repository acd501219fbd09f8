"""The functions in Python that a command has."""

import os
from collections.abc import Sequence

from unspool.eventstore.settings import from_environment
from unspool.executor.functions.function_set import NO_FUNCTIONS, FunctionSet
from unspool.executor.settings import ExecutorSettings


def loaded_functions(places: Sequence[str]) -> FunctionSet:
    """Returns the functions of modules and files, or of those that `UNSPOOL_FUNCTIONS` names.

    Raises:
        BadFunctions: one cannot be imported or used.
    """
    places = places or from_environment(ExecutorSettings, os.environ).functions.split()
    if not places:
        return NO_FUNCTIONS
    from unspool.executor.functions.loading import load_functions  # noqa: PLC0415 - only for functions

    return load_functions(places)
