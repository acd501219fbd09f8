"""Where subscriptions stand in the index of the store, and where an event finds them.

The index only spares work. A filter is indexed by what it compares with a known value; the execution decides
everything else when it gets the event.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from unspool.definitions.event_filter import EventFilter
from unspool.definitions.expressions import Budget, Expression, ExpressionCompiler, ExpressionError
from unspool.definitions.json_value import Json
from unspool.eventstore.published_events import CloudEvent, IndexEntry

_MAX_CACHED: Final = 4096
_NO_VARIABLES: Final[Mapping[str, Json]] = {}

log = logging.getLogger(__name__)


def index_entry(filter_: EventFilter, expected: dict[str, Json], keys: Mapping[str, Json]) -> IndexEntry:
    """Returns where a filter stands in the index.

    Args:
        filter_: the filter.
        expected: the values that it compares with.
        keys: the values of correlations that are known.
    """
    values: dict[str, Json] = {**filter_.literals}
    values |= {
        name: value for name, value in expected.get("attributes", {}).items() if not isinstance(value, bool)
    }
    # A type that is no text matches no event. It is a value like others, because shapes are read by type.
    type_ = values.pop("type") if isinstance(values.get("type"), str) else None
    known = {**keys, **expected.get("keys", {})}
    extracted = {
        each.source: known[each.name] for each in filter_.correlations if each.indexed and each.name in known
    }
    names, sources = sorted(values), sorted(extracted)
    shape = orjson.dumps([type_, names, sources]).decode()
    return IndexEntry(shape, key_of(shape, [*map(values.get, names), *map(extracted.get, sources)]))


class _Shape(NamedTuple):
    """A shape, read."""

    text: str
    names: list[str]
    extracts: list[Expression]

    def key_for(self, event: CloudEvent) -> str | None:
        """Returns the key that an event has for this shape; None if it lacks a value."""
        values = [event.get(name) for name in self.names]
        try:
            budget = Budget()
            values += (each.evaluate_within(event, _NO_VARIABLES, budget) for each in self.extracts)
        except ExpressionError:
            return None
        return None if None in values else key_of(self.text, values)


class EventKeys:
    """Computes the keys of events. It is the argument of `EventBus.match`.

    It never raises: the events of all tenants wait for it. A shape that fails has no key, and is in the log.
    """

    def __init__(self) -> None:
        self._expressions = ExpressionCompiler(jq=None, mode="strict")
        self._read: dict[int, tuple[Sequence[str], dict[str | None, list[_Shape]]]] = {}

    def __call__(self, shapes: tuple[str, ...], event: CloudEvent) -> list[str]:
        """Returns the keys of an event for these shapes."""
        by_type, type_ = self._by_type(shapes), event.get("type")
        candidates = (*(by_type.get(type_, ()) if isinstance(type_, str) else ()), *by_type.get(None, ()))
        return [key for shape in candidates if (key := _key_or_none(shape, event)) is not None]

    def _by_type(self, shapes: tuple[str, ...]) -> dict[str | None, list[_Shape]]:
        """Returns the shapes by event type, read once for each tuple."""
        cached = self._read.get(id(shapes))
        if cached is not None and cached[0] is shapes:
            return cached[1]
        by_type: dict[str | None, list[_Shape]] = {}
        for text in shapes:
            try:
                type_, names, sources = orjson.loads(text)
                extracts = [self._expressions.expression(source) for source in sources]
            except Exception:  # a shape of another release must not stop the others
                log.exception("shape not read", extra={"action": "shape_failed"})
                continue
            if type_ is None or isinstance(type_, str):  # earlier releases wrote others, too
                by_type.setdefault(type_, []).append(_Shape(text, names, extracts))
        if len(self._read) >= _MAX_CACHED:
            self._read.clear()
        self._read[id(shapes)] = shapes, by_type
        return by_type


def _key_or_none(shape: _Shape, event: CloudEvent) -> str | None:
    try:
        return shape.key_for(event)
    except Exception:  # one event or one shape must not stop the others
        log.exception("key of an event not computed", extra={"action": "event_key_failed"})
        return None


def keys_of_correlation(shapes: Sequence[str], value: Json) -> list[str]:
    """Returns the keys of subscriptions that expect this value of their only correlation.

    Subscriptions that compare other attributes than the type with known values, too, have keys that cannot be
    computed from the value alone.
    """
    read = [(shape, *orjson.loads(shape)) for shape in shapes]
    return [
        key_of(shape, [value]) for shape, _type, names, sources in read if not names and len(sources) == 1
    ]


def key_of(shape: str, values: list[Json]) -> str:
    """Digests a shape and its values. Equal values have one key."""
    text = orjson.dumps([shape, [_canonical(value) for value in values]], option=orjson.OPT_SORT_KEYS)
    return hashlib.blake2b(text, digest_size=15).hexdigest()


def _canonical(value: Json) -> Json:
    """Returns a value in which equal numbers have one form."""
    match value:
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case list():
            return [_canonical(item) for item in value]
        case dict():
            return {name: _canonical(member) for name, member in value.items()}
        case _:
            return value
