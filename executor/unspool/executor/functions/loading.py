"""Imports modules and finds the functions that they declare with `@function`."""

import importlib
import importlib.util
import inspect
import logging
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from unspool.definitions.data_schema import BadSchema, DataSchema
from unspool.definitions.json_value import Json
from unspool.eventstore.settings import BadSetting
from unspool.executor.functions.function_set import FunctionSet, ServedFunction
from unspool.executor.functions.python_function import PythonFunction
from unspool.functions.declaration import Declaration, declaration_of
from unspool.functions.signature import Signature, Unsupported, signature_of

log = logging.getLogger(__name__)

QUEUE_PREFIX: Final = "functions:"


class BadFunctions(BadSetting):
    """A module with functions cannot be used."""


def load_functions(places: Iterable[str]) -> FunctionSet:
    """Imports modules and returns their functions.

    Args:
        places: names of modules, which may be in the current directory, and paths of Python files.

    Raises:
        BadFunctions: a module cannot be imported, has no function, or has one that cannot be called.
    """
    found: dict[str, ServedFunction] = {}
    for place in dict.fromkeys(places):
        for each in _functions_of(_imported(place), place):
            same = found.setdefault(each.identity, each)
            if same.target.call is not each.target.call:
                raise BadFunctions(f"{each.identity} is declared twice: in {same.place} and in {each.place}")
    return FunctionSet(found.values())


def _imported(place: str) -> ModuleType:
    try:
        if place.endswith(".py") or "/" in place:
            return _imported_file(Path(place))
        _search_in(Path.cwd())
        return importlib.import_module(place)
    except BadFunctions:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            searched = "it is searched in the current directory and in the installed packages"
            raise BadFunctions(f"{place}: there is no module {error.name!r}; {searched}") from None
        raise BadFunctions(_not_imported(place, error)) from error
    except (Exception, SystemExit) as error:
        raise BadFunctions(_not_imported(place, error)) from error


def _imported_file(file: Path) -> ModuleType:
    if not file.is_file():
        raise BadFunctions(f"{file}: there is no such file")
    file, name = file.resolve(), file.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(file):
        return known
    if known is not None or name in sys.stdlib_module_names:
        raise BadFunctions(f"{file}: Python has another module with the name {name!r}; rename the file")
    _search_in(file.parent)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise BadFunctions(f"{file}: not a Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _search_in(directory: Path) -> None:
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))


def _not_imported(place: str, error: BaseException) -> str:
    """The message for an exception of an import, with the line of the author's code that raised it."""
    if isinstance(error, SyntaxError):
        return f"{place} cannot be imported: {error.filename}:{error.lineno}: {error.msg}"
    frames = [each for each in traceback.extract_tb(error.__traceback__) if "importlib" not in each.filename]
    ours = {__file__, inspect.getfile(Declaration)}
    own = [each for each in frames if each.filename not in ours]
    at = f" ({own[-1].filename}:{own[-1].lineno})" if own else ""
    return f"{place} cannot be imported: {type(error).__name__}: {error}{at}"


def _functions_of(module: ModuleType, place: str) -> Iterator[ServedFunction]:
    declared = [(value, found) for value in vars(module).values() if (found := declaration_of(value))]
    if not declared:
        raise BadFunctions(f"{place} has no function with @function")
    for value, declaration in declared:
        yield _served(value, declaration)


def _served(call: Any, declaration: Declaration) -> ServedFunction:
    module = getattr(call, "__module__", None) or "unknown"
    place = f"{module}.{getattr(call, '__qualname__', declaration.name)}"
    try:
        signature = signature_of(call)
        input_schema, output_schema = _schemas(signature)
    except (Unsupported, TypeError, ValueError) as error:
        raise BadFunctions(f"the function {declaration.name!r} in {place} cannot be used: {error}") from None
    identity = f"{declaration.name}:{declaration.version}"
    target = PythonFunction(
        identity=identity,
        call=call,
        signature=signature,
        input_check=_check(identity, input_schema),
        output_check=_check(identity, output_schema),
        is_async=inspect.iscoroutinefunction(inspect.unwrap(call))
        or inspect.iscoroutinefunction(getattr(call, "__call__", None)),  # noqa: B004 - its type matters
    )
    return ServedFunction(
        name=declaration.name,
        version=declaration.version,
        queue=declaration.queue or f"{QUEUE_PREFIX}{module}",
        input_schema=input_schema,
        output_schema=output_schema,
        target=target,
        special=declaration.queue is not None,
        place=place,
    )


def _schemas(signature: Signature) -> tuple[Json, Json]:
    try:
        return signature.input_schema, signature.output_schema
    except Exception as error:
        raise Unsupported(f"its types have no JSON schema: {type(error).__name__}: {error}") from error


def _check(identity: str, schema: Json) -> DataSchema | None:
    """The check of data by a schema; None if there is nothing to check, or the schema costs too much."""
    if not schema:
        return None
    try:
        return DataSchema.compile(schema)
    except BadSchema as error:
        log.warning("data of %s is checked only by its types: %s", identity, error)
        return None
