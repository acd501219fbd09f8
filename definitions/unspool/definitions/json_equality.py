"""When two JSON values are equal. Python's `==` also takes `true` and 1 as equal."""

from unspool.definitions.json_value import Json


def equal(left: Json, right: Json) -> bool:
    """Returns whether two JSON values are equal. A boolean equals no number."""
    return left == right and _same_kinds(left, right)


def _same_kinds(left: Json, right: Json) -> bool:
    """Returns whether values that are equal in Python have booleans at the same places."""
    if isinstance(left, dict):
        return left is right or all(_same_kinds(member, right[name]) for name, member in left.items())
    if isinstance(left, list):
        return left is right or all(map(_same_kinds, left, right))
    return isinstance(left, bool) == isinstance(right, bool)
