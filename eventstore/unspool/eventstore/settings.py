"""Settings from environment variables, declared as dataclass fields.

@dataclass(frozen=True, slots=True)
class WorkerSettings:
    concurrency: int = setting("UNSPOOL_WORKER_CONCURRENCY", 4, "How many batches …")

settings = from_environment(WorkerSettings, os.environ)
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeVar

SettingsT = TypeVar("SettingsT")
ValueT = TypeVar("ValueT")


class BadSetting(ValueError):
    """An environment variable has an invalid value."""


class Setting(NamedTuple):
    """One setting, as `unspool config` lists it."""

    variable: str
    default: Any
    help: str
    secret: bool
    least: float
    most: float


def setting(
    variable: str,
    default: ValueT,
    help_text: str,
    *,
    secret: bool = False,
    least: float | None = None,
    most: float = math.inf,
) -> ValueT:
    """A dataclass field that is read from an environment variable; its type is the default's.

    Args:
        variable: the environment variable.
        default: the value without it.
        help_text: description in `unspool config`.
        secret: whether `unspool config` and `repr` hide its value.
        least: the smallest number allowed; 1 for whole numbers, else 0.
        most: the largest number allowed; infinity is not allowed.
    """
    if least is None:
        least = 1 if isinstance(default, int) else 0
    metadata = {"setting": Setting(variable, default, help_text, secret, least, most)}
    field: ValueT = dataclasses.field(default=default, metadata=metadata, repr=not secret)
    return field


def settings_of(cls: type[Any]) -> Iterator[tuple[str, Setting]]:
    """Field names and settings of a settings class."""
    for field in dataclasses.fields(cls):
        if "setting" in field.metadata:
            yield field.name, field.metadata["setting"]


def from_environment(cls: type[SettingsT], environment: Mapping[str, str]) -> SettingsT:
    """Reads a settings class from environment variables; an empty variable counts as not set.

    Raises:
        BadSetting: a value has the wrong type or is out of bounds.
    """
    values = {
        name: _read(declared, environment[declared.variable])
        for name, declared in settings_of(cls)
        if environment.get(declared.variable)
    }
    return cls(**values)


def with_default(environment: Mapping[str, str], variable: str, default: str) -> Mapping[str, str]:
    """Returns the environment, in which a variable that is not set, or is empty, has this value."""
    return {**environment, variable: environment.get(variable) or default}


def _read(declared: Setting, text: str) -> Any:
    kind = type(declared.default)
    try:
        value = _READERS.get(kind, str)(text)
    except ValueError:
        raise BadSetting(f"{declared.variable} must be {_NAMES.get(kind, 'text')}, not {text!r}") from None
    # NaN fails this comparison, so it is out of bounds too.
    if kind in {int, float} and not (declared.least <= value <= declared.most and value < math.inf):
        most = f" and at most {declared.most:g}" if declared.most < math.inf else ""
        raise BadSetting(f"{declared.variable} must be at least {declared.least:g}{most}, not {text}")
    return value


def _boolean(text: str) -> bool:
    if text.lower() in {"1", "true", "yes", "on"}:
        return True
    if text.lower() in {"0", "false", "no", "off"}:
        return False
    raise ValueError(text)


_READERS: Final[dict[type, Callable[[str], Any]]] = {int: int, float: float, bool: _boolean}
_NAMES: Final = {int: "a whole number", float: "a number", bool: "true or false"}
