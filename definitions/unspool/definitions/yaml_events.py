"""Reads texts as streams of YAML events. JSON is read here, because libyaml rejects some valid JSON."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml
from yaml import events as yaml_events
from yaml._yaml import CParser


class Position(NamedTuple):
    """A position in a text. Lines and columns count from 1, columns in characters."""

    line: int
    column: int


def events(text: str) -> Iterator[yaml.Event]:
    """Returns the events of a JSON or YAML text. Raises `yaml.YAMLError` at a syntax error."""
    return _json_events(text) if _is_json(text) else _yaml_events(text)


def _yaml_events(text: str) -> Iterator[yaml.Event]:
    parser = CParser(text)
    try:
        while (event := parser.get_event()) is not None:
            yield event
    finally:
        parser.dispose()


def _is_json(text: str) -> bool:
    """Returns whether a text is JSON. libyaml rejects surrogate pairs and keys over 1024 characters."""
    if not text.lstrip().startswith("{"):
        return False
    try:
        json.loads(text, parse_int=len, parse_float=len)
    except (ValueError, RecursionError):
        return False
    return True


_JSON_TOKEN: Final = re.compile(r'[{}\[\]]|"[^"\\]*(?:\\.[^"\\]*)*"|[^\s{}\[\],:"]+')
_JSON_CONSTANTS: Final = {"NaN": ".nan", "Infinity": ".inf", "-Infinity": "-.inf"}


def _json_events(text: str) -> Iterator[yaml.Event]:
    """Yields the events of a text that is valid JSON."""
    starts = line_starts(text)
    for match in _JSON_TOKEN.finditer(text):
        position = position_of_index(starts, match.start())
        yield _json_event(
            match.group(), yaml.Mark("", match.start(), position.line - 1, position.column - 1, None, 0)
        )


def _json_event(token: str, mark: yaml.Mark) -> yaml.Event:
    match token[0]:
        case "{":
            return yaml_events.MappingStartEvent(None, None, True, mark)
        case "[":
            return yaml_events.SequenceStartEvent(None, None, True, mark)
        case "}":
            return yaml_events.MappingEndEvent(mark)
        case "]":
            return yaml_events.SequenceEndEvent(mark)
        case '"':
            return yaml_events.ScalarEvent(None, None, (False, True), json.loads(token), mark)
        case _:
            return yaml_events.ScalarEvent(None, None, (True, False), _JSON_CONSTANTS.get(token, token), mark)


def position_in(text: str, offset: int) -> Position:
    """Returns the position of a character, given its offset."""
    return position_of_index(line_starts(text), offset)


def line_starts(text: str) -> list[int]:
    """Returns the index of the first character of each line."""
    return [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]


def position_of_index(starts: list[int], offset: int) -> Position:
    """Returns the position of a character, given its index and the result of `line_starts`."""
    line = bisect_right(starts, offset)
    return Position(line, offset - starts[line - 1] + 1)


def position_of_mark(mark: Any) -> Position:
    """Returns the position of a mark of libyaml, which counts from 0."""
    return Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
