"""The differences between two JSON values."""

from typing import Any, Final, NamedTuple

from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json


class _Absent:
    """Marks an absent value; null is a value."""


ABSENT: Final = _Absent()


class Change(NamedTuple):
    """One difference."""

    pointer: str
    """JSON pointer of the difference."""
    before: Any
    """The value there; `ABSENT` if there was none."""
    after: Any

    def to_json(self) -> dict[str, Json]:
        """Returns the change as JSON, without absent members."""
        members = {"pointer": self.pointer, "before": self.before, "after": self.after}
        return {name: value for name, value in members.items() if value is not ABSENT}


def changes(before: Json, after: Json, pointer: str = "") -> list[Change]:
    """Returns the differences, outermost first.

    It compares objects member by member and all other values as a whole.
    """
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
