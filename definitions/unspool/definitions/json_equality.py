"""When two JSON values are equal. Python's `==` also takes `true` and 1 as equal."""

from unspool.definitions.json_value import Json


def equal(left: Json, right: Json) -> bool:
    """Returns whether two JSON values are equal. A boolean equals no number."""
    return left == right and isinstance(left, bool) == isinstance(right, bool)
