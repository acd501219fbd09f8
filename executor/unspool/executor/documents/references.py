"""Makes one document of a document and those that its references (`$ref`) lead to. Pure.

The others become members of the first one, and references to them lead there. So who reads the document
follows references inside it only, and one hash pins all of them.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import orjson

from unspool.definitions.json_pointer import value_at
from unspool.definitions.json_value import Json
from unspool.definitions.resource_address import absolute, problem_of_address
from unspool.definitions.spelling import shown
from unspool.executor.documents.text import UnusableDocument, shown_address

OTHERS: Final = "x-unspool-documents"
"""The member with the other documents: by number, the `address`, and the `value` or the `problem`."""

_OTHER: Final = re.compile(r"(?s)#/x-unspool-documents/([0-9]{1,5})/value(.*)")
_MAY_REFER: Final = re.compile(r"""\$ref["']?\s*:\s*(?!["']?#)\S""")
_META_SCHEMAS: Final = ("http://json-schema.org/", "https://json-schema.org/")
"""Addresses that validators of schemas know themselves."""


def may_refer_to_others(text: str) -> bool:
    """Whether a document may have a reference to another one. Of a text of 12 MB it takes about 30 ms.

    False is wrong only for a text that writes `$ref` with escapes: such a reference was not fetched, then.
    """
    return _MAY_REFER.search(text) is not None


def other_addresses(value: Json, address: str) -> list[str]:
    """The complete addresses of the documents that a document refers to, each once.

    Args:
        value: of the document.
        address: of the document.
    """
    found = (_target(holder["$ref"], address)[0] for holder in _holders(value))
    return [each for each in dict.fromkeys(found) if each not in {"", address}]


def problem_of_reference(address: str, base: str) -> str | None:
    """Why a document at `base` may not refer to an address; None if it may."""
    if (problem := problem_of_address(address)) is not None:
        return problem
    scheme = urlsplit(address).scheme
    if scheme not in {"http", "https"} and scheme != urlsplit(base).scheme:
        return "documents can refer to http and https addresses, and to others with the scheme of their own"
    return None


def joined(value: dict[str, Json], address: str, others: Mapping[str, Json | UnusableDocument]) -> str:
    """The text of one document with all others. Changes the values.

    Args:
        value: of the first document.
        address: of the first document.
        others: by address, the values of the others, or why there is none.

    Raises:
        UnusableDocument: a value has no form in JSON.
    """
    places = {other: f"#/{OTHERS}/{number}/value" for number, other in enumerate(others)}
    places[address] = "#"
    _redirect(value, address, places)
    members: dict[str, Json] = {}
    for number, (other, found) in enumerate(others.items()):
        if isinstance(found, UnusableDocument):
            members[str(number)] = {"address": shown_address(other), "problem": str(found)}
        else:
            _redirect(found, other, places)
            members[str(number)] = {"address": shown_address(other), "value": found}
    try:
        return orjson.dumps({**value, OTHERS: members}).decode()
    except TypeError as error:
        raise UnusableDocument(f"it has no form in JSON: {error}") from None


def at_reference(root: dict[str, Json], reference: str, pointer: str) -> Json:
    """The value that a reference inside a document leads to.

    Args:
        root: the document.
        reference: as it is written.
        pointer: the JSON pointer in it.

    Raises:
        UnusableDocument: there is none. The message names the document that has no such value.
    """
    try:
        return value_at(root, pointer)
    except LookupError:
        raise UnusableDocument(_why_nowhere(root, reference)) from None


def _why_nowhere(root: dict[str, Json], reference: str) -> str:
    others, found = root.get(OTHERS), _OTHER.fullmatch(reference)
    if isinstance(others, dict) and found is not None:
        match others.get(found[1]):
            case {"address": str(address), "problem": str(problem)}:
                return f"the document {address}, to which it refers, cannot be used: {problem}"
            case {"address": str(address)}:
                return f"the document {address}, to which it refers, has no '{shown(found[2])}'"
            case _:
                pass
    return f"the reference '{shown(reference)}' leads nowhere"


def _redirect(value: Json, address: str, places: Mapping[str, str]) -> None:
    """Makes references to known documents lead to their places."""
    for holder in _holders(value):
        target, fragment = _target(holder["$ref"], address)
        if target in places and (not fragment or fragment.startswith("/")):
            holder["$ref"] = f"{places[target]}{fragment}"


def _target(reference: str, address: str) -> tuple[str, str]:
    """The address of the document, and the fragment; the address is empty for one that is not followed."""
    written, _, fragment = reference.partition("#")
    if not written:
        return address, fragment
    if written.startswith(_META_SCHEMAS):
        return "", fragment
    try:
        return absolute(written, address), fragment
    except ValueError:
        return "", fragment


def _holders(value: Json) -> Iterator[dict[str, Json]]:
    """The objects with a reference. Each is visited once, also if the YAML has several aliases of it."""
    waiting, seen = [value], set[int]()
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict | list) or id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, dict) and isinstance(node.get("$ref"), str):
            yield node
        waiting += node.values() if isinstance(node, dict) else node
