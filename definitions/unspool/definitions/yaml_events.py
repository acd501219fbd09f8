"""Texts as streams of libyaml's events; JSON gives the same ones, read here: libyaml refuses some of it."""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import yaml
from yaml import events as yaml_events
from yaml._yaml import CParser


class Position(NamedTuple):
    """A place in a text; both count from 1, columns in characters."""

    line: int
    column: int


def events(text: str) -> Iterator[yaml.Event]:
    """The events of a text, JSON or YAML. Raises `yaml.YAMLError` where it is neither."""
    return _json_events(text) if _is_json(text) else _yaml_events(text)


def _yaml_events(text: str) -> Iterator[yaml.Event]:
    parser = CParser(text)
    try:
        while (event := parser.get_event()) is not None:
            yield event
    finally:
        parser.dispose()


def _is_json(text: str) -> bool:
    """Whether JSON's grammar holds; libyaml refuses surrogate pairs and keys over 1024 characters."""
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
    """The events of a text that is known to be JSON."""
    starts = _line_starts(text)
    for match in _JSON_TOKEN.finditer(text):
        position = _position_of(starts, match.start())
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
    """Where a character stands, by its offset."""
    return _position_of(_line_starts(text), offset)


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", text))]


def _position_of(starts: list[int], offset: int) -> Position:
    line = bisect_right(starts, offset)
    return Position(line, offset - starts[line - 1] + 1)


def position_of_mark(mark: Any) -> Position:
    """Where a mark of libyaml, which counts from 0, points."""
    return Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)
