"""What a `listen` task has consumed, and what it still expects.

Every change takes logarithmic time in the number of events: nothing here copies the events or the outputs.
"""

from __future__ import annotations  # rpds maps are generic to type checkers only

from typing import NamedTuple

import orjson
from rpds import HashTrieMap

from unspool.definitions.event_reading import Read
from unspool.definitions.json_value import Json


class Listening(NamedTuple):
    """The progress of a `listen` task."""

    expected: list[dict[str, Json]]
    """The values that each filter compares with, read when the task started: `attributes` and `keys`."""
    read: Read
    iterates: bool = False
    """Whether the task has a `foreach`."""
    keeps: bool = False
    """Whether events are kept after their iteration, because `until` reads them."""
    keys: dict[str, Json] = {}  # noqa: RUF012 - it is never changed
    """The values of correlations, by name."""
    filters: frozenset[int] = frozenset()
    """The filters that have consumed an event, by place."""
    received: int = 0
    """Events consumed by the strategy, without those of `until`."""
    events: HashTrieMap[int, Json] = HashTrieMap()
    """The events as they are read, by place. With a `foreach`, those that it has not processed."""
    outputs: HashTrieMap[int, Json] = HashTrieMap()
    """The outputs of the iterations, by place."""
    place: int = 0
    """The event that is, or will be, processed."""
    iterating: bool = False
    """Whether the tasks of `foreach` process an event."""
    done: bool = False
    """Whether no more events are consumed."""
    request: str | None = None
    """The task request that brings messages; None for events."""

    @classmethod
    def started(cls, data: dict[str, Json]) -> Listening:
        """Returns the start, from the data of `workflow.correlation-started`."""
        keys: dict[str, Json] = {}
        for values in data["filters"]:
            keys = {**values.get("keys", {}), **keys}
        return cls(
            data["filters"], Read(data["read"]), data.get("foreach", False), data.get("keep", False), keys
        )

    def consumed(self, data: dict[str, Json]) -> Listening:
        """Returns this with one more event, from the data of `event.received`."""
        filters, keys = self.filters | {data["filter"]}, {**self.keys, **data.get("keys", {})}
        if data.get("until"):
            return self._replace(filters=filters, keys=keys)
        events = self.events.insert(self.received, read(data["event"], self.read))
        return self._replace(filters=filters, keys=keys, events=events, received=self.received + 1)

    @classmethod
    def subscribed(cls, data: dict[str, Json]) -> Listening:
        """Returns the start of a subscription, from the data of `subscription.started`."""
        return cls([], Read.DATA, data.get("foreach", False), data.get("keep", False))

    def with_messages(self, messages: list[Json]) -> Listening:
        """Returns this with more messages."""
        events = self.events
        for place, message in enumerate(messages, self.received):
            events = events.insert(place, message)
        return self._replace(events=events, received=self.received + len(messages))

    @property
    def item(self) -> Json:
        """The event that is, or will be, processed by `foreach`."""
        return self.events[self.place]

    @property
    def waiting(self) -> bool:
        """Whether an event waits for its iteration."""
        return not self.iterating and self.place < self.received

    @property
    def idle(self) -> bool:
        """Whether every event that was consumed is processed."""
        return not self.iterating and not (self.iterates and self.waiting)

    def begun(self) -> Listening:
        """Returns this with an iteration that runs tasks."""
        return self._replace(iterating=True)

    def processed(self, output: Json) -> Listening:
        """Returns this after an iteration with this output."""
        return self._replace(
            outputs=self.outputs.insert(self.place, output),
            events=self.events if self.keeps else self.events.remove(self.place),
            place=self.place + 1,
            iterating=False,
        )

    def ended(self) -> Listening:
        """Returns this without further events."""
        return self._replace(done=True)

    def results(self) -> list[Json]:
        """Returns the output of the task up to now."""
        outputs = self.outputs if self.iterates else self.events
        return [outputs[place] for place in range(len(outputs))]

    def consumed_events(self) -> list[Json]:
        """Returns the events as they were read, in order. They are complete if they are kept."""
        return [self.events[place] for place in range(self.received)]

    def to_json(self) -> Json:
        """Returns this as JSON, for a snapshot."""
        members = self._asdict()
        return {
            **members,
            "filters": sorted(self.filters),
            "events": list(self.events.items()),
            "outputs": list(self.outputs.items()),
        }

    @classmethod
    def from_json(cls, members: dict[str, Json]) -> Listening:
        """Returns what `to_json` returned."""
        return cls(
            **{
                **members,
                "read": Read(members["read"]),
                "filters": frozenset(members["filters"]),
                "events": HashTrieMap(dict(members["events"])),
                "outputs": HashTrieMap(dict(members["outputs"])),
            }
        )


def read(event: dict[str, Json], how: Read) -> Json:
    """Returns an event as `listen.read` says (inventory I50).

    Raw data is text as it is, base64 for binary data, and JSON text for anything else.
    """
    if how is Read.ENVELOPE:
        return event
    if event.get("data_base64") is not None:  # null means that there is none
        return event["data_base64"]
    data = event.get("data")
    return data if how is Read.DATA or isinstance(data, str) else orjson.dumps(data).decode()
