"""Short texts for values of a definition: expressions, durations, endpoints, event filters, schedules.

The values are as the author wrote them. A value of an unexpected form is shown as JSON, so none fails.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from unspool.definitions.json_value import Json

_LONGEST: Final = 240
"""Characters of a text. A diagram shows fewer; the whole text is in the definition."""

_COMPUTED: Final = re.compile(r"\\\((?:[^()]|\([^()]*\))*\)")
"""`\\(…)` in a jq string, with at most one more level of parentheses."""

_UNITS: Final = (("days", "d"), ("hours", "h"), ("minutes", "min"), ("seconds", "s"), ("milliseconds", "ms"))


def text_of(value: Json) -> str:
    """Returns a value on one line: a string as it is, anything else as JSON."""
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    return one_line(text)


def one_line(text: str) -> str:
    """Returns a text with its white space as single spaces, cut if it is very long."""
    line = " ".join(text[: 2 * _LONGEST].split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"


def expression(value: Json) -> str:
    """Returns an expression without its `${ }`."""
    text = text_of(value)
    inner = text[2:-1]
    whole = text.startswith("${") and text.endswith("}") and "${" not in inner
    return inner.strip() if whole else text


def address(value: Json) -> str:
    """Returns an address without `http://`. The computed parts of a string are shown as `{…}`."""
    text = expression(value)
    if text.startswith('"') and text.endswith('"') and text != value:
        text = _COMPUTED.sub("{…}", text[1:-1])
    return text.removeprefix("https://").removeprefix("http://")


def duration(value: Json) -> str:
    """Returns a duration, such as `1 h 30 min`; one in ISO 8601 as it is."""
    if not isinstance(value, Mapping):
        return expression(value)
    given = [f"{text_of(value[unit])} {short}" for unit, short in _UNITS if unit in value]
    return " ".join(given) or text_of(value)


def timeout(value: Json, named: Mapping[str, Any]) -> str:
    """Returns a timeout, which can be the name of one in `use.timeouts`."""
    found = named.get(value, value) if isinstance(value, str) else value
    return duration(found["after"]) if isinstance(found, Mapping) and "after" in found else text_of(found)


def endpoint(value: Json) -> str:
    """Returns the address of an endpoint."""
    if isinstance(value, Mapping) and "uri" in value:
        return address(value["uri"])
    return address(value)


def error(value: Json) -> str:
    """Returns an error: its status and the end of its type."""
    if not isinstance(value, Mapping):
        return expression(value)
    kind = text_of(value.get("type", "")).rstrip("/").rpartition("/")[2]
    return " ".join(part for part in (kind, text_of(value.get("status", ""))) if part)


def events(strategy: Json) -> str:
    """Returns an event consumption strategy, such as `any of order.paid, order.cancelled`."""
    if not isinstance(strategy, Mapping):
        return text_of(strategy)
    if "one" in strategy:
        return _event(strategy["one"])
    how = "all" if "all" in strategy else "any"
    filters = strategy.get(how) or []
    if not isinstance(filters, list):
        return text_of(strategy)
    listed = ", ".join(map(_event, filters[:10]))
    if not filters:
        return "any event"
    return listed if len(filters) == 1 and how == "all" else f"{how} of {listed}"


def _event(filter_: Json) -> str:
    members = filter_.get("with", {}) if isinstance(filter_, Mapping) else {}
    if not isinstance(members, Mapping) or not members:
        return text_of(filter_)
    for name in ("type", "source", "subject", "id"):
        if name in members:
            return text_of(members[name]) if name == "type" else f"{name} {text_of(members[name])}"
    return text_of(members)


def schedule(value: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the kind of a schedule and its text; both are empty if it has none."""
    if "every" in value:
        return "every", f"every {duration(value['every'])}"
    if "cron" in value:
        return "cron", f"cron {text_of(value['cron'])}"
    if "after" in value:
        return "after", f"{duration(value['after'])} after each end"
    if "on" in value:
        return "on", f"on {events(value['on'])}"
    return "", ""
