"""Reads the text of a document that was fetched, in JSON or YAML, within limits. Pure."""

from typing import Final

import orjson

from unspool.definitions.errors import configuration
from unspool.definitions.json_value import Json
from unspool.definitions.nesting import is_deeper
from unspool.definitions.problems import DefinitionInvalid
from unspool.definitions.yaml_core import MAX_DEPTH, compose
from unspool.executor.outcome import Rejected

MAX_YAML_CHARACTERS: Final = 8 * 1024 * 1024
"""YAML is read about fifty times slower than JSON."""


class UnusableDocument(ValueError):
    """A document is not valid, or does not have what a call needs. The message names place and cause."""


def unusable(what: str, address: str, problem: UnusableDocument) -> Rejected:
    """The exception for a call whose document cannot be used.

    Args:
        what: the kind of the document, such as "OpenAPI document".
        address: of the document.
        problem: what is wrong with it.
    """
    detail = f"the {what} {shown_address(address)}: {problem}"
    return Rejected(configuration(detail, title="Unusable document"))


def shown_address(address: str) -> str:
    """An address without its query, which may contain keys."""
    return address.partition("?")[0]


def read_document(text: str) -> dict[str, Json]:
    """The value of a document.

    Raises:
        UnusableDocument: it is neither JSON nor YAML, no mapping, or exceeds a limit.
    """
    value = _value(text.removeprefix("\ufeff"))
    if not isinstance(value, dict):
        raise UnusableDocument("it is not a mapping")
    return value


def _value(text: str) -> Json:
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return _not_too_deep(orjson.loads(text))
        except orjson.JSONDecodeError as error:
            cause = f"it is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
            if len(text) > MAX_YAML_CHARACTERS:
                raise UnusableDocument(cause) from None
    if len(text) > MAX_YAML_CHARACTERS:
        raise UnusableDocument(
            f"it is YAML with more than {MAX_YAML_CHARACTERS} characters; JSON may have more"
        )
    try:
        return compose(text).value
    except DefinitionInvalid as invalid:
        first = invalid.problems[0]
        raise UnusableDocument(f"{first.line}:{first.column}: {first.message}") from None


def _not_too_deep(value: Json) -> Json:
    if is_deeper(value, MAX_DEPTH):
        raise UnusableDocument(f"it is nested more than {MAX_DEPTH} levels deep")
    return value
