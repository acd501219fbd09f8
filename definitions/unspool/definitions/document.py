"""Workflow documents: a text, its value, and the position of each part of the value in the text."""

import re
from dataclasses import dataclass, field
from typing import Final

from unspool.definitions.json_pointer import parts
from unspool.definitions.json_value import Json
from unspool.definitions.problems import DefinitionInvalid, Problem, Severity
from unspool.definitions.scalar_positions import ScalarPositions
from unspool.definitions.yaml_core import Node, compose
from unspool.definitions.yaml_events import Position

MAX_BYTES: Final = 1024 * 1024

_START: Final = Position(1, 1)
_WORKFLOW: Final = "a workflow is a mapping; it begins with 'document:'"


@dataclass(frozen=True, slots=True)
class Document:
    """A text that holds one YAML or JSON mapping."""

    text: str
    value: dict[str, Json]
    name: str
    """Its name in messages, such as the file name."""
    _root: Node = field(repr=False, compare=False)

    def position(self, pointer: str) -> Position:
        """Returns where a value begins. If it does not exist, the position of the nearest value around it."""
        return self._nearest(pointer).position

    def key_position(self, pointer: str) -> Position:
        """Returns where the key of a member begins; the position of the value if it has no key."""
        node = self._nearest(pointer)
        return node.key or node.position

    def problem(
        self, pointer: str, message: str, *, at_key: bool = False, severity: Severity = Severity.ERROR
    ) -> Problem:
        """Returns a problem with the value at a pointer. The position of a collection is that of its key."""
        node = self._nearest(pointer)
        place = node.key if node.key and (at_key or node.members is not None) else node.position
        return Problem(pointer, *place, message, severity)

    def problem_in_text(self, pointer: str, offset: int, message: str, positions: ScalarPositions) -> Problem:
        """Returns an error at a character of the string at a pointer."""
        node = self._nearest(pointer)
        return Problem(pointer, *positions.position(node.position, str(node.value), offset), message)

    def _nearest(self, pointer: str) -> Node:
        node = self._root
        for step in parts(pointer):
            match node.members:
                case dict() as members if step in members:
                    node = members[step]
                case list() as members if _INDEX.fullmatch(step) and int(step) < len(members):
                    node = members[int(step)]
                case _:
                    break
        return node


_INDEX: Final = re.compile(r"[0-9]{1,9}")


def load(text: str | bytes, *, name: str = "the definition", mapping: str = _WORKFLOW) -> Document:
    """Reads a document in YAML 1.2 (core schema) or JSON; bytes are UTF-8.

    It does not check whether the document is a valid workflow; see `unspool.definitions.checks`.

    Args:
        text: the document.
        name: its name in messages.
        mapping: the message if the document is not a mapping.

    Raises:
        DefinitionInvalid: the text is not valid, holds values that JSON cannot hold, or exceeds a limit:
            1 MiB of text, 100 levels, another 1 MiB added by aliases.
    """
    try:
        plain = _decoded(text)
        root = compose(plain)
        if not isinstance(root.value, dict):
            raise _invalid(mapping, root.position)
    except DefinitionInvalid as invalid:
        raise DefinitionInvalid(invalid.problems, name) from invalid.__cause__
    return Document(plain, root.value, name, root)


def as_function(document: Document, name: str) -> Document:
    """Returns a workflow whose only function is this document. Positions are those in the document's text."""
    functions = {name: document.value}
    workflow: dict[str, Json] = {
        "document": {"dsl": "1.0.3", "namespace": "function", "name": "function", "version": "1.0.0"},
        "use": {"functions": functions},
        "do": [{"call": {"call": name}}],
    }
    own = document._root  # noqa: SLF001 - of the same class
    inner = Node(functions, _START, members={name: own})
    use = Node(workflow["use"], _START, members={"functions": inner})
    return Document(document.text, workflow, document.name, Node(workflow, _START, members={"use": use}))


def _decoded(text: str | bytes) -> str:
    _check_size(len(text))
    try:
        encoded = text.encode() if isinstance(text, str) else text
        plain = text if isinstance(text, str) else text.decode()
    except UnicodeEncodeError as error:
        raise _invalid(f"half of a surrogate pair at character {error.start + 1}") from error
    except UnicodeDecodeError as error:
        raise _invalid(f"the text is not UTF-8: {error.reason} at byte {error.start + 1}") from error
    _check_size(len(encoded))
    return plain.removeprefix("\ufeff")


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise _invalid(f"the document is larger than {MAX_BYTES} bytes")


def _invalid(message: str, position: Position = _START) -> DefinitionInvalid:
    return DefinitionInvalid([Problem("", *position, message)])
