"""The rates that the operator sets with `UNSPOOL_LIMITS`."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from unspool.eventstore.rate_limits import Rate
from unspool.eventstore.settings import BadSetting

_RULE: Final = re.compile(r"([^\s=]+)=([0-9]{1,9})/([0-9]{0,5})([smhd])(?::([0-9]{1,6}))?(@tenant)?")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_FORM: Final = (
    "TARGET=STARTS/UNIT, such as api.example.com=10/s, *.example.com=100/m:20 or function:f=5/s@tenant"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rate for the targets that match a pattern. Each target has its own starts."""

    pattern: str
    rate: Rate
    for_each_tenant: bool = False
    """Whether each tenant has its own starts too, so that none waits for the calls of another."""


def rules_of(text: str) -> tuple[Rule, ...]:
    """The rules in a setting, in order: the first that matches a target is used.

    Raises:
        BadSetting: a rule is malformed.
    """
    return tuple(map(_rule, text.split()))


def rule_of(rules: tuple[Rule, ...], target: str) -> Rule | None:
    """The rule of a target; None if it has none. Hosts are in lower case, with or without their port."""
    for rule in rules:
        if fnmatchcase(target, rule.pattern) or fnmatchcase(target.partition(":")[0], rule.pattern):
            return rule
    return None


def _rule(text: str) -> Rule:
    found = _RULE.fullmatch(text)
    if found is None:
        raise BadSetting(f"UNSPOOL_LIMITS: {text!r} is not {_FORM}")
    pattern, starts, units, unit, burst, tenant = found.groups()
    if int(starts) == 0 or units == "0" or burst == "0":
        raise BadSetting(f"UNSPOOL_LIMITS: {text!r} has a zero; it is {_FORM}")
    microseconds = int(units or 1) * _SECONDS[unit] * 1_000_000
    interval = max(1, microseconds // int(starts))
    known = pattern if pattern.startswith("function:") else pattern.lower()
    return Rule(known, Rate(interval, int(burst or 1)), for_each_tenant=tenant is not None)
