"""Tags of executions: names with values that callers and definitions choose, for searches."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

from unspool.definitions.json_value import Json
from unspool.definitions.tag_name import MAX_TAGS, NAME

Tags: TypeAlias = Mapping[str, str]
"""Values by name."""

NO_TAGS: Final[Tags] = MappingProxyType({})


def no_tags() -> Tags:
    """Returns `NO_TAGS`, as the default of a member of a dataclass: Python 3.11 does not accept the value."""
    return NO_TAGS


MAX_VALUE: Final = 256
"""Characters of a value."""


class BadTags(ValueError):
    """Tags that an execution cannot have. The text says which tag, and why."""


def checked_tags(value: Json) -> dict[str, str]:
    """Returns a JSON object of names and values as tags.

    Raises:
        BadTags: it is not an object of valid names and values, or it has too many.
    """
    if not isinstance(value, dict):
        raise BadTags('tags must be an object such as {"order": "A-1"}')
    if len(value) > MAX_TAGS:
        raise BadTags(f"an execution has at most {MAX_TAGS} tags, not {len(value)}")
    for name, text in value.items():
        check_tag(name, text)
    return value


def check_tag(name: str, value: Json) -> None:
    """Checks one tag.

    Raises:
        BadTags: the name or the value is not valid.
    """
    if not NAME.fullmatch(name):
        raise BadTags(f"the name of a tag must match {NAME.pattern}, not {name[:80]!r}")
    problem = problem_of(value)
    if problem is not None:
        raise BadTags(f"the tag {name} {problem}")


def problem_of(value: Json) -> str | None:
    """Returns why a value cannot be the value of a tag; None if it can. The text follows a name."""
    if not isinstance(value, str):
        return "must be a text"
    if not 0 < len(value) <= MAX_VALUE:
        return f"must have 1 to {MAX_VALUE} characters, not {len(value)}"
    if not value.isprintable():
        return "must not have control characters, line breaks or halves of surrogate pairs"
    return None
