"""docs/reference/settings.md, from the declarations of settings."""

import json
import math
from collections.abc import Iterator
from typing import Any, Final

from docs.tooling.markdown import code, page, table, text

from unspool.cli.setting_groups import GROUPS, STORE_HELP
from unspool.eventstore.opening import STORE_VARIABLE
from unspool.eventstore.settings import Setting, settings_of

_INTRODUCTION: Final = """\
Every setting is an environment variable. `unspool config` lists them with their current values, and warns
of variables that begin with `UNSPOOL_` and are no setting, such as misspelt ones. An empty variable counts
as not set. Booleans are `true` or `false`. If a value is malformed or out of bounds, the program names the
setting and ends with exit code 2, or 5 for `UNSPOOL_STORE`. The line below each heading says which services
read the settings; `unspool dev` reads all. Behind a proxy, the API also reads
[`FORWARDED_ALLOW_IPS`](../access.md#behind-a-proxy)."""

_TYPES: Final = {bool: "boolean", int: "whole number", float: "number", str: "text"}


def settings_page() -> str:
    """Returns the page."""
    return page("Settings", _INTRODUCTION, _body())


def _body() -> Iterator[str]:
    yield from ("## Store", "", "Read by: all services and commands", "")
    default = "a SQLite file in the user's data directory"
    yield from table(_HEADS, [(code(STORE_VARIABLE), "text", default, text(STORE_HELP))])
    for group in GROUPS:
        yield from ("", f"## {group.title}", "", f"Read by: {text(group.services)}", "")
        settings = [setting for cls in group.classes for _, setting in settings_of(cls)]
        yield from table(_HEADS, map(_row, settings))


_HEADS: Final = ("variable", "type", "default", "meaning")


def _row(setting: Setting) -> tuple[str, str, str, str]:
    return code(setting.variable), _type(setting), code(_default(setting.default)), text(setting.help)


def _type(setting: Setting) -> str:
    """Returns the type, with bounds other than those of every number."""
    kind = type(setting.default)
    bounds = []
    if kind in {int, float}:
        if setting.least != (1 if kind is int else 0):
            bounds.append(f"at least {setting.least:g}")
        if setting.most < math.inf:
            bounds.append(f"at most {setting.most:g}")
    return ", ".join((_TYPES[kind], *bounds)) + (", secret" if setting.secret else "")


def _default(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
