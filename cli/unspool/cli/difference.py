"""What differs between two JSON values, place by place."""

from typing import Any, Final, NamedTuple

from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json


class _Absent:
    """Nothing, where null is something."""


ABSENT: Final = _Absent()


class Change(NamedTuple):
    """One place that differs."""

    pointer: str
    """JSON pointer of the place."""
    before: Any
    """The value there; `ABSENT` if there was none."""
    after: Any

    def to_json(self) -> dict[str, Json]:
        """The change as JSON; what was or is absent is left out."""
        members = {"pointer": self.pointer, "before": self.before, "after": self.after}
        return {name: value for name, value in members.items() if value is not ABSENT}


def changes(before: Json, after: Json, pointer: str = "") -> list[Change]:
    """The places that differ, outermost first; objects are looked into, everything else is taken whole."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return [] if _same(before, after) else [Change(pointer, before, after)]
    names = [*before, *(name for name in after if name not in before)]
    return [
        change
        for name in names
        for change in changes(before.get(name, ABSENT), after.get(name, ABSENT), child(pointer, name))
    ]


def _same(one: Json, other: Json) -> bool:
    return type(one) is type(other) and bool(one == other)
