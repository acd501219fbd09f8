"""`unspool config`: every setting of every service."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

import click

from unspool.cli.options import example, json_option
from unspool.cli.output import print_line, print_table, say
from unspool.cli.setting_groups import GROUPS, STORE_HELP
from unspool.cli.stores import without_password
from unspool.definitions.json_value import Json
from unspool.definitions.spelling import did_you_mean
from unspool.eventstore.opening import STORE_VARIABLE, default_url
from unspool.eventstore.settings import from_environment, settings_of
from unspool.eventstore.this_process import this_process
from unspool.executor.secrets import PREFIX

SETTINGS: Final[tuple[type[Any], ...]] = tuple(cls for group in GROUPS for cls in group.classes)


@click.command(epilog=example("UNSPOOL_EGRESS=public unspool config"))
@json_option
@click.option("--effective", is_flag=True, help="Only settings with another value than the default.")
def config(as_json: bool, effective: bool) -> None:
    """List every setting: its environment variable, its current value, its default and what it does.

    Passwords in URLs and secret values are masked. Services log the same with --effective when they start.
    """
    known = {STORE_VARIABLE, *(setting.variable for cls in SETTINGS for _, setting in settings_of(cls))}
    for variable in _unknown(os.environ, known):
        say(f"unspool: {variable} is not a setting{did_you_mean(variable, sorted(known))}")
    lines = [line for line in _once_each(_lines()) if not effective or line["value"] != line["default"]]
    if as_json:
        for line in lines:
            print_line(line)
        return
    print_table(
        ("VARIABLE", "VALUE", "DEFAULT", "WHAT"),
        ((line["variable"], _text(line["value"]), _text(line["default"]), line["help"]) for line in lines),
    )


def configuration(url: str) -> dict[str, Json]:
    """Returns the version, the store and the settings of this process, without secrets.

    Raises:
        BadSetting: a setting is not valid.
    """
    return {
        "version": this_process().version,
        "store": without_password(url),
        "settings": effective_settings(),
    }


def effective_settings() -> dict[str, Json]:
    """Returns the settings of this process that have another value than the default, without secrets.

    Raises:
        BadSetting: a setting is not valid.
    """
    return {line["variable"]: line["value"] for line in _lines() if line["value"] != line["default"]}


def _unknown(environment: Mapping[str, str], known: set[str]) -> list[str]:
    """Returns the variables that look like settings, but are neither settings nor secrets."""
    named = (name for name in environment if name.startswith("UNSPOOL_") and not name.startswith(PREFIX))
    return sorted(set(named) - known)


def _lines() -> Iterator[dict[str, Json]]:
    yield {
        "variable": STORE_VARIABLE,
        "value": without_password(default_url(os.environ)),
        "default": default_url({**os.environ, STORE_VARIABLE: ""}),
        "help": STORE_HELP,
    }
    for cls in SETTINGS:
        values = asdict(from_environment(cls, os.environ))
        for name, setting in settings_of(cls):
            yield {
                "variable": setting.variable,
                "value": "***" if setting.secret and values[name] else _masked(values[name]),
                "default": setting.default,
                "help": setting.help,
            }


def _once_each(lines: Iterable[dict[str, Json]]) -> list[dict[str, Json]]:
    """Returns one line for each variable: several services may read it, each for another purpose."""
    found: dict[Json, dict[str, Json]] = {}
    for line in lines:
        known = found.setdefault(line["variable"], line)
        if known is not line:
            known["help"] = f"{known['help']}. {line['help']}"
    return [*found.values()]


def _masked(value: Json) -> Json:
    """Returns a value without the passwords in its URLs, which blanks separate."""
    if not isinstance(value, str) or "://" not in value:
        return value
    return " ".join(without_password(word) for word in value.split())


def _text(value: Json) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
