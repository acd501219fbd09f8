"""Checks every expression of a document (inventory D4, D5, D7, U5, U12, U13)."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from unspool.definitions.expressions import NOW, ExpressionError, SourceProblem
from unspool.definitions.expressions.lexer import LONGEST_SOURCE, tokenize, variables
from unspool.definitions.findings import Findings
from unspool.definitions.resource import CHANGING
from unspool.definitions.schema import Occurrence
from unspool.definitions.secret_names import secrets_read
from unspool.definitions.semantics.event_conditions import assigns
from unspool.definitions.semantics.references import Names, declared
from unspool.definitions.semantics.splitting import (
    Located,
    bare_source,
    sources,
    sources_of_command,
    texts,
    unclosed,
)
from unspool.definitions.semantics.variables import is_address_of_resource, secrets_allowed_at, variables_at
from unspool.definitions.spelling import did_you_mean, shown

ExpressionProblems = Callable[[str, frozenset[str] | None], Iterable[SourceProblem]]
"""Returns what is wrong with the source of an expression, without `${ }`. The second argument is the names of
the variables that exist; None accepts any name."""

MAX_IN_TEXT: Final = 200
"""Expressions in one text."""

_READS: Final = re.compile(r"\.[A-Za-z_]\w*(?:[.\[]\S*)?|\$[A-Za-z_]\w*(?:[.\[ ].*)?")
_OPERAND: Final = r'(?:"[^"]*"|[.$][A-Za-z_][\w.]*)'
_ADDS: Final = re.compile(rf"{_OPERAND}\s*\+\s*{_OPERAND}(?:\s.*)?", re.DOTALL)
_INTERPOLATES: Final = re.compile(r"\\\([.$]")


def check_expressions(
    occurrences: Iterable[Occurrence], findings: Findings, problems_of: ExpressionProblems | None
) -> None:
    """Checks all expressions. If `problems_of` is None, their syntax is not checked."""
    secrets = declared(findings, "secrets")
    strict = _is_strict(findings)
    tasks = {
        each.pointer: each.value
        for each in occurrences
        if each.role == "task" and isinstance(each.value, dict)
    }
    for role, pointer, (source, start) in _expressions(occurrences, findings):
        problems: Iterable[SourceProblem] = _too_long(source) or _unknown_secret(source, secrets)
        problems = problems or _misplaced_secret(source, findings, tasks, pointer)
        if is_address_of_resource(pointer):
            problems = problems or _reads_what_changes(source)
        if role == "idempotency-key":
            problems = problems or _reads_clock(source)
        # In loose mode a text that is not an expression is plain text (inventory D2).
        if not problems and problems_of is not None and (strict or role not in _LITERAL_IN_LOOSE):
            problems = problems_of(source, variables_at(findings.document.value, pointer))
        for message, offset in problems:
            findings.error_in_text(pointer, start + offset, message)
    _warn_of_assignments(occurrences, findings)
    _warn_of_unclosed(occurrences, findings)
    if strict:
        _warn_of_unwrapped(occurrences, findings)


def _expressions(occurrences: Iterable[Occurrence], findings: Findings) -> Iterator[tuple[str, str, Located]]:
    """Yields role, pointer, source and offset of every expression."""
    for role, value, pointer, _ in occurrences:
        sources_of = _SOURCES.get(role)
        if sources_of is None:
            continue
        for place, text in texts(value, pointer):
            if text.count("${") > MAX_IN_TEXT:
                findings.error(place, f"a text has at most {MAX_IN_TEXT} expressions")
            else:
                yield from ((role, place, source) for source in sources_of(text))


_MISPLACED: Final = (
    "$secrets cannot be read here, because the worker would store its value in the history; "
    "it can be read in the arguments of a call, shell, script or container, and in authentication policies"
)

_LITERAL_IN_LOOSE: Final = frozenset({"transformation", "value"})

_PLAIN_IF_UNWRAPPED: Final = frozenset({"value", "idempotency-key"})

_SOURCES: Final[dict[str, Callable[[str], list[Located]]]] = {
    "expression": bare_source,
    "transformation": bare_source,
    "command": sources_of_command,
    "value": sources,
    "idempotency-key": sources,
    "duration": sources,
    "error-name": sources,
}
"""The functions that find the expressions of a text, by role."""


def _too_long(source: str) -> list[SourceProblem]:
    if len(source) > LONGEST_SOURCE:
        message = f"an expression has at most {LONGEST_SOURCE} characters, this one has {len(source)}"
        return [SourceProblem(message, 0)]
    return []


def _unknown_secret(source: str, declared_secrets: Names) -> list[SourceProblem]:
    for secret, offset in secrets_read(source):
        if secret is not None and secret not in declared_secrets:
            suggestion = did_you_mean(secret, declared_secrets)
            message = f"no secret '{shown(secret)}' in use.secrets{suggestion}"
            return [SourceProblem(message, offset)]
    return []


def _misplaced_secret(
    source: str, findings: Findings, tasks: Mapping[str, Any], pointer: str
) -> list[SourceProblem]:
    read = secrets_read(source)
    if not read or secrets_allowed_at(findings.document.value, tasks, pointer):
        return []
    return [SourceProblem(_MISPLACED, read[0].offset)]


def _reads_clock(source: str) -> list[SourceProblem]:
    """Returns a problem if a key depends on the time: then no two starts would have the same."""
    try:
        tokens = tokenize(source)
    except ExpressionError:
        return []  # its syntax is wrong, which another check reports
    if NOW not in variables(tokens):
        return []
    offset = next((token.offset for token in tokens if token.text == "now"), 0)
    return [SourceProblem("'now' cannot be used here: an idempotency key depends on the input only", offset)]


def _reads_what_changes(source: str) -> list[SourceProblem]:
    """Returns a problem if the address of a resource reads what is not known before its task starts."""
    try:
        read = variables(tokenize(source))
    except ExpressionError:
        return []
    for name in sorted(CHANGING & set(read)):
        written = name if name == NOW else f"${name}"
        message = f"{written} cannot be read in the address of a resource; '.' is the raw input of the task"
        return [SourceProblem(message, max(0, source.find(written)))]
    return []


def _is_strict(findings: Findings) -> bool:
    evaluate = findings.document.value.get("evaluate")
    return not isinstance(evaluate, dict) or evaluate.get("mode") != "loose"


def _warn_of_assignments(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Warns of a condition that assigns. Its value is the changed input, which nearly always holds."""
    for occurrence in occurrences:
        if occurrence.role == "expression" and occurrence.pointer.rpartition("/")[2] in _CONDITIONS:
            for source, _ in bare_source(occurrence.value) if isinstance(occurrence.value, str) else ():
                if assigns(source):
                    message = "this condition assigns a value; a comparison is written '=='"
                    findings.warning(occurrence.pointer, message)


_CONDITIONS: Final = frozenset({"if", "when", "while", "until", "exceptWhen"})


def _warn_of_unclosed(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Warns of a `${` without its brace, which is plain text."""
    for pointer, text in _texts_of_values(occurrences):
        begin = unclosed(text)
        if begin is not None:
            message = f"'{shown(text[begin:], 40)}' is plain text: no '}}' ends the expression"
            findings.warning(pointer, message)


def _warn_of_unwrapped(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Warns of text that looks like an expression but is plain text in strict mode, without `${ }`."""
    for pointer, text in _texts_of_values(occurrences):
        if len(text) <= LONGEST_SOURCE and _looks_like_one(stripped := text.strip()):
            written = shown(stripped, 40)
            findings.warning(
                pointer,
                f"'{written}' is plain text here; an expression is written '${{ {written} }}'",
            )


def _looks_like_one(text: str) -> bool:
    if "${" in text:
        return False
    if text.startswith('"') and text.endswith('"') and _INTERPOLATES.search(text):
        return True
    return (_READS.fullmatch(text) or _ADDS.fullmatch(text)) is not None


def _texts_of_values(occurrences: Iterable[Occurrence]) -> Iterator[tuple[str, str]]:
    """Yields pointer and text of every string that is plain text without `${ }`."""
    for occurrence in occurrences:
        if occurrence.role in _PLAIN_IF_UNWRAPPED:
            yield from texts(occurrence.value, occurrence.pointer)
