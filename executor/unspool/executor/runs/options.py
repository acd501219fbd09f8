"""Arguments, environment, stdin, `return` and `await` of shell commands, scripts and containers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import orjson

from unspool.definitions.json_value import Json
from unspool.executor.outcome import reject

_RETURNS: Final = frozenset({"stdout", "stderr", "code", "all", "none"})


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """The evaluated options of a process."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    """The variables that the author declared."""
    stdin: bytes
    returns: str
    awaits: bool


def process_options(arguments: Mapping[str, Json]) -> ProcessOptions:
    """Reads the options from the arguments of a `run` task.

    Raises:
        Rejected: one of them is invalid; the `configuration` error names it.
    """
    returns = arguments.get("return", "stdout")
    if not isinstance(returns, str) or returns not in _RETURNS:
        reject(f"return must be one of {', '.join(sorted(_RETURNS))}, not {returns!r}")
    stdin = arguments.get("stdin")
    return ProcessOptions(
        arguments=tuple(_argv(arguments.get("arguments"))),
        environment=_environment(arguments.get("environment")),
        stdin=b"" if stdin is None else as_text(stdin).encode(),
        returns=returns,
        awaits=arguments.get("await", True) is not False,
    )


def _argv(arguments: Json) -> Iterator[str]:
    """The arguments as argv: a list unchanged, a map as `--name value` (inventory I61, I60)."""
    match arguments:
        case None:
            return
        case list():
            yield from (without_nul("" if item is None else item, "an argument") for item in arguments)
        case dict():
            for name, value in arguments.items():
                if value is None or value is False:
                    continue
                yield without_nul(f"--{name}", "an argument's name")
                if value is not True:
                    yield without_nul(value, f"argument {name!r}")
        case _:
            reject("arguments must be a list or a map")


def _environment(environment: Json) -> dict[str, str]:
    if environment is None:
        return {}
    if not isinstance(environment, dict):
        reject("environment must be a map")
    for name in environment:
        if not name or "=" in name or "\0" in name:
            reject(f"{name!r} is not a valid name of an environment variable")
    return {
        name: without_nul(value, f"environment variable {name!r}")
        for name, value in environment.items()
        if value is not None
    }


def without_nul(value: Json, what: str) -> str:
    """Returns a value as text. Raises `Rejected` if it contains a NUL character."""
    text = as_text(value)
    if "\0" in text:
        reject(f"{what} contains a NUL character")
    return text


def as_text(value: Json) -> str:
    """Returns a text unchanged, and any other value as JSON."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
