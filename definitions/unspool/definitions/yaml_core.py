"""Reads YAML 1.2 (core schema) and JSON into values with positions.

Plain scalars have the meaning of YAML 1.2: `on`, dates and `11:12:00` are text, and `010` is ten. The tree is
built from the events of libyaml without recursion, so that a hostile document cannot exhaust the stack.
"""

from dataclasses import dataclass, field
from typing import Final, NoReturn

import yaml

from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json
from unspool.definitions.problems import MAX_PROBLEMS, DefinitionInvalid, Problem
from unspool.definitions.yaml_events import Position, events, position_in, position_of_mark
from unspool.definitions.yaml_scalars import COLLECTION_TAGS, InvalidScalar, key_text, scalar, unknown_tag
from unspool.definitions.yaml_syntax import syntax_problem

MAX_DEPTH: Final = 100
"""Collections within collections."""
MAX_ALIASED: Final = 1024 * 1024
"""The size that aliases may add to a document. A node counts `NODE_COST` plus the characters of its text."""
NODE_COST: Final = 16
MAX_KEY: Final = 4096
"""Characters of a key."""


@dataclass(slots=True)
class Node:
    """A value, its position, and the nodes inside a collection."""

    value: Json
    position: Position
    key: Position | None = None
    """The position of its key, if it is a member of a mapping."""
    members: "dict[str, Node] | list[Node] | None" = None
    cost: int = NODE_COST
    """Its size, aliases included, in the unit of `MAX_ALIASED`."""
    height: int = 0
    """Levels of collections, this one included."""


# libyaml 0.2.6 and later has its own limit, and reaches it first if it reads ahead.
_TOO_DEEP: Final = f"nested more than {MAX_DEPTH} levels deep"


def compose(text: str) -> Node:
    """Reads a document.

    Raises:
        DefinitionInvalid: the text is not one YAML or JSON document that JSON can hold, or exceeds a limit.
            It names all duplicate keys and invalid scalars, not only the first.
    """
    composer = _Composer()
    try:
        for event in events(text):
            composer.process(event)
    except yaml.MarkedYAMLError as error:
        position = position_of_mark(error.problem_mark or error.context_mark)
        too_deep = "nesting depth" in (error.problem or "")
        composer.fail(_TOO_DEEP if too_deep else f"not YAML: {syntax_problem(error, text)}", position)
    except yaml.YAMLError as error:  # an error of the reader, which has only an offset
        offset = getattr(error, "position", 0)
        composer.fail(f"not YAML: {_first_line(error)}", position_in(text, offset))
    return composer.finish()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


@dataclass(slots=True)
class _OpenCollection:
    """A collection that is not complete."""

    node: Node
    anchor: str | None
    key: str | None = None
    key_position: Position | None = None
    merging: bool = False
    """Whether the key is a merge key."""
    merges: list[Node] = field(default_factory=list)
    """The mappings of its merge keys, in order. An earlier one has priority over a later one."""

    @property
    def wants_key(self) -> bool:
        return self.key is None and isinstance(self.node.members, dict)


@dataclass(slots=True)
class _Composer:
    """Builds the tree from events."""

    root: Node | None = None
    documents: int = 0
    stack: list[_OpenCollection] = field(default_factory=list)
    anchors: dict[str, Node] = field(default_factory=dict)
    aliased: int = 0
    problems: list[Problem] = field(default_factory=list)

    def process(self, event: yaml.Event) -> None:
        """Processes the next event."""
        if isinstance(event, yaml.ScalarEvent):
            self._scalar(event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._open(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.DocumentStartEvent):
            self._start_document(event)

    def _start_document(self, event: yaml.DocumentStartEvent) -> None:
        self.documents += 1
        if self.documents > 1:
            position = position_of_mark(event.start_mark)
            self.fail("a second document begins here; a file holds only one", position)

    def finish(self) -> Node:
        """Returns the tree after the last event."""
        if self.root is None:
            self.fail("the document is empty", Position(1, 1))
        if self.problems:
            raise DefinitionInvalid(self.problems)
        return self.root

    def fail(self, message: str, position: Position) -> NoReturn:
        """Stops with an error, because the rest cannot be read reliably."""
        self._add_problem(message, position)
        raise DefinitionInvalid(self.problems)

    def _add_problem(self, message: str, position: Position) -> None:
        self.problems.append(Problem(self._pointer(), *position, message))
        if len(self.problems) >= MAX_PROBLEMS:
            raise DefinitionInvalid(self.problems)

    def _pointer(self) -> str:
        steps: list[str | int] = []
        for opened in self.stack:
            if isinstance(opened.node.members, list):
                steps.append(len(opened.node.members))
            elif opened.key is not None:
                steps.append(opened.key)
        return child("", *steps)

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        position = position_of_mark(event.start_mark)
        is_key = bool(self.stack) and self.stack[-1].wants_key
        value: Json = event.value
        try:
            value = key_text(event) if is_key else scalar(event)
        except InvalidScalar as invalid:
            self._add_problem(str(invalid), position)
        if is_key:
            self._key(event, position)
        else:
            node = Node(value, position, cost=NODE_COST + len(event.value))
            self._add_node(node)
            self._anchor(event.anchor, node)

    def _key(self, event: yaml.ScalarEvent, position: Position) -> None:
        opened = self.stack[-1]
        members = opened.node.members
        if isinstance(members, dict) and event.value in members:
            first = members[event.value].key or members[event.value].position
            self._add_problem(f"duplicate key {event.value[:80]!r}, first on line {first.line}", position)
        if len(event.value) > MAX_KEY:
            self.fail(f"a key is longer than {MAX_KEY} characters", position)
        opened.key, opened.key_position = event.value, position
        opened.merging = event.value == "<<" and event.implicit[0]
        if event.anchor is not None:
            self.anchors[event.anchor] = Node(event.value, position, cost=NODE_COST + len(event.value))

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        position = position_of_mark(event.start_mark)
        if self.stack and self.stack[-1].wants_key:
            self.fail("a key must be text, not a collection", position)
        self._check_depth(1, position)
        if event.tag not in COLLECTION_TAGS:
            self._add_problem(unknown_tag(event.tag), position)
        mapping = isinstance(event, yaml.MappingStartEvent)
        node = (
            Node({}, position, members={}, height=1) if mapping else Node([], position, members=[], height=1)
        )
        if event.anchor is not None:
            self.anchors.pop(event.anchor, None)
        self.stack.append(_OpenCollection(node, event.anchor))

    def _check_depth(self, height: int, position: Position) -> None:
        if len(self.stack) + height > MAX_DEPTH:
            self.fail(_TOO_DEEP, position)

    def _close(self) -> None:
        opened = self.stack.pop()
        for merged in opened.merges:
            _merge(opened.node, merged)
        self._add_node(opened.node)
        self._anchor(opened.anchor, opened.node)

    def _alias(self, event: yaml.AliasEvent) -> None:
        position = position_of_mark(event.start_mark)
        target = self.anchors.get(event.anchor or "")
        if target is None:
            inside = any(opened.anchor == event.anchor for opened in self.stack)
            self.fail(
                f"the alias *{event.anchor} {'contains itself' if inside else 'has no anchor'}"[:120],
                position,
            )
        if self.stack and self.stack[-1].wants_key:
            self.fail("an alias cannot be a key", position)
        self.aliased += target.cost
        if self.aliased > MAX_ALIASED:
            self.fail("the aliases of this document expand to more than 1 MiB", position)
        self._check_depth(target.height, position)
        self._add_node(Node(target.value, position, None, target.members, target.cost, target.height))

    def _add_node(self, node: Node) -> None:
        """Adds a complete node to its parent."""
        if not self.stack:
            self.root = node
            return
        opened = self.stack[-1]
        parent = opened.node
        if opened.merging:
            opened.key, opened.merging = None, False
            self._add_merge(opened, node)
            return
        parent.cost += node.cost
        parent.height = max(parent.height, node.height + 1)
        if isinstance(parent.members, dict):
            key = opened.key or ""
            node.key = opened.key_position
            parent.value[key] = node.value
            parent.members[key] = node
            opened.key = None
        elif parent.members is not None:
            parent.value.append(node.value)
            parent.members.append(node)

    def _add_merge(self, opened: _OpenCollection, node: Node) -> None:
        """Records the value of a merge key (https://yaml.org/type/merge.html)."""
        mappings = node.members if isinstance(node.members, list) else [node]
        for mapping in mappings:
            if isinstance(mapping.members, dict):
                opened.merges.append(mapping)
            else:
                self._add_problem("'<<' merges a mapping, or a list of mappings", mapping.position)

    def _anchor(self, name: str | None, node: Node) -> None:
        if name is not None:
            self.anchors[name] = node


def _merge(into: Node, mapping: Node) -> None:
    """Adds the members of a mapping whose keys do not exist in `into`."""
    members = into.members
    if not isinstance(members, dict) or not isinstance(mapping.members, dict):
        return
    for key, member in mapping.members.items():
        if key not in members:
            members[key] = member
            into.value[key] = member.value
            into.cost += member.cost
            into.height = max(into.height, member.height + 1)
