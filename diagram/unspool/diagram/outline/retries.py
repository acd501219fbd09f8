"""Short texts for `catch`: which errors it catches, and how the tasks are retried."""

from collections.abc import Iterator, Mapping
from typing import Any

from unspool.definitions.json_value import Json
from unspool.diagram.outline.texts import duration, error, expression


def caught_errors(catch: Mapping[str, Any]) -> str:
    """Returns which errors a `catch` handles; empty if all."""
    filter_ = (catch.get("errors") or {}).get("with", {})
    conditions = [f"{name} {expression(catch[name])}" for name in ("when", "exceptWhen") if name in catch]
    return ", ".join(part for part in (error(filter_), *conditions) if part)


def retry_text(retry: Json, named: Mapping[str, Any]) -> str:
    """Returns how the tasks are retried; empty if they are not.

    Args:
        retry: the policy, or the name of one in `use.retries`.
        named: the policies of `use.retries`.
    """
    policy = named.get(retry) if isinstance(retry, str) else retry
    if not isinstance(policy, Mapping):
        return ""
    return "retry " + (", ".join(_parts(policy)) or "without a limit")


def _parts(policy: Mapping[str, Any]) -> Iterator[str]:
    limit = policy.get("limit") or {}
    count = (limit.get("attempt") or {}).get("count")
    if count is not None:
        yield f"{count} times"
    if "delay" in policy:
        yield f"after {duration(policy['delay'])}"
    for backoff in policy.get("backoff") or {}:
        if backoff != "constant":
            yield backoff
    if "duration" in limit:
        yield f"within {duration(limit['duration'])}"
    for name in ("when", "exceptWhen"):
        if name in policy:
            yield f"{name} {expression(policy[name])}"
