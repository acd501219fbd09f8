"""Messages about YAML syntax errors.

libyaml names the rule that the text breaks. These messages name the cause and the correction.
"""

from typing import Final

import yaml

_TAB: Final = "a tab; indent with spaces"

_BLOCKS: Final = {
    "while parsing a block mapping": (
        "this does not continue the mapping of line {line}; correct the indentation, or put text in quotes"
    ),
    "while parsing a block collection": (
        "this does not continue the list of line {line}; correct the indentation, or put text in quotes"
    ),
    "while parsing a flow sequence": "a ',' is missing, or the '[' of line {line} is not closed",
    "while parsing a flow mapping": "a ',' is missing, or the '{{' of line {line} is not closed",
    "while scanning a quoted scalar": "a quote is not closed, opened on line {line}",
    "while scanning a simple key": "a ':' is missing after the key on line {line}",
}
"""Messages, by what libyaml was reading at the error."""

_PROBLEMS: Final = {
    "mapping values are not allowed in this context": (
        "': ' inside a plain text; put the text in quotes, or correct the indentation"
    ),
    "block sequence entries are not allowed in this context": (
        "a list item is not allowed here; begin it on a new line"
    ),
    "did not find expected node content": "a value is missing here, or a bracket is not closed before",
    "found a tab character where an indentation space is expected": _TAB,
}


def syntax_problem(error: yaml.MarkedYAMLError, text: str) -> str:
    """Returns the cause of a syntax error. Without a better message, it is the message of libyaml."""
    problem = error.problem or error.context or ""
    if problem == "found character that cannot start any token" and error.problem_mark is not None:
        return _first_character(text[error.problem_mark.index : error.problem_mark.index + 1])
    if problem in _PROBLEMS:
        return _PROBLEMS[problem]
    if _begins_expression(error, text):
        return "an expression between { } or [ ] must be in quotes: '${ … }'"
    cause = _BLOCKS.get(error.context or "")
    if cause is None or error.context_mark is None or problem.startswith("found unknown escape"):
        return problem
    return cause.format(line=error.context_mark.line + 1)


def _begins_expression(error: yaml.MarkedYAMLError, text: str) -> bool:
    """Whether the error is at the brace of `${` in a flow collection, where YAML ends a plain text."""
    if error.problem_mark is None or not (error.context or "").startswith("while parsing a flow"):
        return False
    at = error.problem_mark.index
    return text[max(0, at - 1) : at + 1] == "${"


def _first_character(character: str) -> str:
    if character == "\t":
        return _TAB
    return f"a plain text cannot begin with '{character}'; put it in quotes"
