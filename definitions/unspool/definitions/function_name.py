"""The names by which functions are called (dsl.md, "Using Cataloged Functions"; inventory J24)."""

import re
from typing import Final, NamedTuple

CALLS: Final = ("http", "grpc", "openapi", "asyncapi", "a2a", "mcp")
"""The calls of the DSL, whose names functions cannot have unless they are declared."""

DEFAULT_CATALOG: Final = "default"
"""The catalog that the runtime provides."""

_PART: Final = r"[A-Za-z0-9_][A-Za-z0-9_.+-]*"
"""A name or a version. It becomes a part of a path, so it cannot have a slash or begin with a dot."""
_CATALOGED: Final = re.compile(rf"({_PART}):({_PART})@([^:@/\s]+)")
_REGISTERED: Final = re.compile(rf"({_PART})(?::({_PART}))?")
_IN_DEFAULT_CATALOG: Final = re.compile(rf"catalog:functions/({_PART})/({_PART})/function\.yaml")
_URL: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://\S+")


class CatalogedFunction(NamedTuple):
    """A function of a catalog: `name:version@catalog`."""

    name: str
    version: str
    catalog: str

    @property
    def path(self) -> str:
        """The path of its definition in the catalog (inventory R1)."""
        return f"functions/{self.name}/{self.version}/function.yaml"


class RegisteredName(NamedTuple):
    """A function that executors register: `name` or `name:version`."""

    name: str
    version: str | None
    """None: the latest one."""

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}:{self.version}"


def registered(name: str) -> RegisteredName | None:
    """Returns the function of executors that a name means; None if it has another form."""
    found = _REGISTERED.fullmatch(name)
    return None if found is None else RegisteredName(*found.groups())


def cataloged(name: str) -> CatalogedFunction | None:
    """Returns the function of a catalog that a name means; None if it has another form."""
    found = _CATALOGED.fullmatch(name)
    return None if found is None else CatalogedFunction(*found.groups())


def of_default_catalog(address: str) -> CatalogedFunction | None:
    """Returns the function of the default catalog whose definition is at an address; None for others."""
    found = _IN_DEFAULT_CATALOG.fullmatch(address)
    return None if found is None else CatalogedFunction(found[1], found[2], DEFAULT_CATALOG)


def is_address(name: str) -> bool:
    """Returns whether a name is the address of a function's definition."""
    return _URL.fullmatch(name) is not None


def malformed(name: str) -> str | None:
    """Returns what is wrong with a name that has an `@` and another form; None without an `@`."""
    before, at, catalog = name.rpartition("@")
    if not at:
        return None
    function, _, version = before.partition(":")
    for what, part in (("name", function), ("version", version), ("catalog", catalog)):
        if not part:
            return f"there is no {what}"
        if what != "catalog" and not re.fullmatch(_PART, part):
            return f"the {what} '{part}' has other characters than letters, digits and _ . + -"
    return f"the catalog '{catalog}' has a character that names of catalogs cannot have"
