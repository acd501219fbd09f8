"""`document.metadata.unspool.idempotencyKey`: a definition makes the key of an execution from its input."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from unspool.definitions.document import load
from unspool.definitions.expressions import Budget, ExpressionCompiler, ExpressionError, JqRunner, Template
from unspool.definitions.expressions.template import written
from unspool.definitions.json_value import Json

POINTER: Final = "/document/metadata/unspool/idempotencyKey"

MAX_CHARACTERS: Final = 512
"""Characters of a key."""

_WORK_UNITS: Final = 200_000
"""Work units of one key: about 30 ms at most."""

_NO_VARIABLES: Final[Mapping[str, Json]] = MappingProxyType({})


class Reuse(StrEnum):
    """When another execution can have the key of an execution."""

    NEVER = "never"
    ENDED = "ended"
    """Once the execution has ended."""


class KeyInvalid(Exception):
    """The definition does not make a valid key from an input. The text is the cause and quotes no data."""


@dataclass(frozen=True, slots=True)
class KeyRule:
    """How a definition makes keys."""

    reuse: Reuse
    _template: Template | None
    """None if it does not compile."""
    _defect: str = ""

    @property
    def compiled(self) -> bool:
        """Whether the expression was compiled; if not, every input fails."""
        return self._template is not None

    @property
    def guarded(self) -> bool:
        """Whether making a key may call a jq process, and so may block."""
        return self._template is not None and self._template.guarded

    def key_of(self, input_: Json) -> str:
        """Returns the key of an input. Its work is bounded.

        Raises:
            KeyInvalid: the expression fails, or the result is not a valid key.
        """
        if self._template is None:
            raise KeyInvalid(self._defect)
        budget = Budget(_WORK_UNITS)
        try:
            result = self._template.evaluate_within(input_, _NO_VARIABLES, budget)
            _check_type(result)
            key = written(result, budget)
        except ExpressionError as error:
            raise KeyInvalid(str(error)) from error
        _check_text(key)
        return key


def key_rule_of(text: str, jq: JqRunner) -> KeyRule | None:
    """Returns the rule of a stored definition; None if its executions have no keys.

    Args:
        text: the definition as it was submitted.
        jq: runs the expressions that do not compile to closures.
    """
    return _rule(load(text).value, jq)


def key_problem(definition: Mapping[str, Any], input_: Json) -> str | None:
    """Returns why a definition makes no key of an input.

    None if it makes one, if it has no keys, and if the expression is not valid or needs real jq.
    """
    rule = _rule(definition, None)
    if rule is None or not rule.compiled:
        return None
    try:
        rule.key_of(input_)
    except KeyInvalid as cause:
        return str(cause)
    return None


def _rule(definition: Mapping[str, Any], jq: JqRunner | None) -> KeyRule | None:
    settings = _settings(definition)
    source = settings.get("idempotencyKey")
    if not isinstance(source, str):  # stored before the member had a meaning, it may be anything
        return None
    reuse = Reuse.ENDED if settings.get("reuse") == Reuse.ENDED else Reuse.NEVER
    try:
        # Always strict: in loose mode, all inputs for which the expression fails would have one key.
        return KeyRule(reuse, ExpressionCompiler(jq=jq, mode="strict").text(source))
    except ExpressionError as error:
        return KeyRule(reuse, None, str(error))


def _settings(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    part: Any = definition
    for member in ("document", "metadata", "unspool"):
        part = part.get(member) if isinstance(part, dict) else None
    return part if isinstance(part, dict) else {}


def _check_type(result: Json) -> None:
    if isinstance(result, bool) or not isinstance(result, str | int | float):
        raise KeyInvalid(f"the key must be a text or a number, but it is {_NAMES[type(result)]}")


_NAMES: Final = {type(None): "null", bool: "a boolean", dict: "an object", list: "an array"}


def _check_text(key: str) -> None:
    if not key:
        raise KeyInvalid("the key is an empty text")
    if len(key) > MAX_CHARACTERS:
        raise KeyInvalid(f"the key has {len(key)} characters; at most {MAX_CHARACTERS} are allowed")
    try:
        key.encode()
    except UnicodeEncodeError:
        raise KeyInvalid("the key has half of a surrogate pair") from None
