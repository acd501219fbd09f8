"""The types of JSON, and their names in messages."""

from typing import Any, Final

from unspool.definitions.schema.rules import Rule
from unspool.definitions.spelling import shown

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "string": (str,),
    "object": (dict,),
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
}
_WORDS: Final = {
    "string": "text",
    "object": "a mapping",
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
}


def matches(value: Any, wanted: str | list[str] | None) -> bool:
    """Returns whether a value has a type, or one of several; `1.0` is not an integer here."""
    if wanted is None:
        return True
    if isinstance(wanted, list):
        return any(matches(value, one) for one in wanted)
    return isinstance(value, _TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))


def expectation(rule: Rule) -> str:
    """Returns what a rule expects, in words."""
    wanted = rule["type"]
    words = [_WORDS[one] for one in (wanted if isinstance(wanted, list) else [wanted])]
    return str(rule.get("x-expects") or " or ".join(words))


def found(value: Any) -> str:
    """Returns what a value is, in words."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text '{shown(value, 40)}'"
        case list():
            return "a list"
        case _:
            return "a mapping"
