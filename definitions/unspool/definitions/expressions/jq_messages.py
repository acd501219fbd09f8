"""jq's error messages without the data that jq quotes in them: data may be secret."""

import re
from typing import Final

_KIND: Final = r"(null|boolean|number|string|array|object)"
_QUOTED: Final = re.compile(
    rf"\b{_KIND} \(.*?\)(?= and {_KIND} \(| can| has | number required| not | is | as | only|$)",
    re.DOTALL,
)
_INDEXED: Final = re.compile(r"^Cannot (index|iterate over|use|check|delete|update) (.*)$", re.DOTALL)
_OTHER: Final = (
    (re.compile(r" \(while parsing .*$", re.DOTALL), ""),
    (re.compile(r"^.* \(at offset", re.DOTALL), "the pattern (at offset"),
    (re.compile(r'^date ".*" does not match format ".*"$', re.DOTALL), "the date does not match the format"),
)
_WITH_KEY: Final = re.compile(rf"\b(with {_KIND}) [(\"].*$", re.DOTALL)


def of_evaluation(message: str) -> str:
    """Returns the message of an expression that fails."""
    if _INDEXED.match(message):
        message = _WITH_KEY.sub(r"\1", message)
    for pattern, replacement in _OTHER:
        message = pattern.sub(replacement, message)
    return _QUOTED.sub(r"\1", message)


def of_compilation(message: str) -> str:
    """Returns the message about a source that is not valid jq: its first line, without the program's name."""
    first = message.partition("\n")[0].removeprefix("jq: error: ").rstrip(":")
    return first.replace(" at <top-level>,", " at").strip() or "it is not valid jq"
