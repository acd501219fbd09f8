"""Sets of events that are not complete yet (inventory C8).

Every change takes logarithmic time in the number of sets.
"""

from __future__ import annotations  # rpds maps are generic to type checkers only

from collections.abc import Mapping
from typing import Final, NamedTuple

from rpds import HashTrieMap

from unspool.definitions.json_equality import equal
from unspool.definitions.json_value import Json
from unspool.eventstore.published_events import CloudEvent


class PendingSet(NamedTuple):
    """Events that start an execution when there are enough of them."""

    partition: str
    """Digest of the values of the correlations that all filters have."""
    keys: Mapping[str, Json]
    """The values of correlations, by name."""
    events: tuple[CloudEvent, ...] = ()
    """In the order in which they were consumed, without those of `until`."""
    filters: frozenset[int] = frozenset()
    """The filters that have consumed an event, by place."""
    size: int = 0
    """About how many characters it has as JSON."""

    def consumed(self, data: Mapping[str, Json]) -> PendingSet:
        """Returns the set with one more event, from the data of `event.received`."""
        return self._replace(
            keys={**self.keys, **data.get("keys", {})},
            events=self.events if data.get("until") else (*self.events, data["event"]),
            filters=self.filters | {data["filter"]},
            size=self.size + data["size"],
        )


class PendingSets(NamedTuple):
    """All sets of a schedule that are not complete, by number. A later set has a higher number."""

    by_number: HashTrieMap[int, PendingSet] = HashTrieMap()
    by_partition: HashTrieMap[str, tuple[int, ...]] = HashTrieMap()
    first: int = 0
    """No set has a lower number."""
    next: int = 0
    """The number of the next set."""
    size: int = 0
    """About how many characters the sets have as JSON."""
    events: int = 0
    """How many events they hold."""

    def agreeing(self, partition: str, values: Mapping[str, Json]) -> list[int]:
        """Returns the sets whose correlations have no other values, the oldest first."""
        return [
            number
            for number in self.by_partition.get(partition, ())
            if all(
                equal(self.by_number[number].keys.get(name, value), value) for name, value in values.items()
            )
        ]

    @property
    def oldest(self) -> int:
        """The number of the oldest set. There is one."""
        number = self.first
        while number not in self.by_number:
            number += 1
        return number

    def received(self, data: Mapping[str, Json]) -> PendingSets:
        """Returns the sets with one more event, from the data of `event.received`."""
        number: int = data["set"]
        found = self.by_number.get(number)
        sets = self
        if found is None:
            found = PendingSet(data["partition"], {})
            numbers = (*self.by_partition.get(found.partition, ()), number)
            sets = self._replace(
                by_partition=self.by_partition.insert(found.partition, numbers), next=number + 1
            )
        after = found.consumed(data)
        return sets._replace(
            by_number=sets.by_number.insert(number, after),
            size=sets.size + after.size - found.size,
            events=sets.events + len(after.events) - len(found.events),
        )

    def removed(self, number: int) -> PendingSets:
        """Returns the sets without one of them."""
        gone = self.by_number[number]
        others = tuple(each for each in self.by_partition[gone.partition] if each != number)
        by_partition = self.by_partition
        return self._replace(
            by_number=self.by_number.remove(number),
            by_partition=by_partition.insert(gone.partition, others)
            if others
            else by_partition.remove(gone.partition),
            first=number + 1 if number == self.oldest else self.first,
            size=self.size - gone.size,
            events=self.events - len(gone.events),
        )

    def to_json(self) -> Json:
        """Returns the sets as JSON. The format never changes, except by additions."""
        return {
            "next": self.next,
            "sets": [
                [number, {**each._asdict(), "events": [*each.events], "filters": sorted(each.filters)}]
                for number, each in sorted(self.by_number.items())
            ],
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> PendingSets:
        """Returns the sets that `to_json` wrote."""
        by_number = {
            number: PendingSet(
                **{**each, "events": tuple(each["events"]), "filters": frozenset(each["filters"])}
            )
            for number, each in value["sets"]
        }
        by_partition: dict[str, tuple[int, ...]] = {}
        for number, each in by_number.items():
            by_partition[each.partition] = (*by_partition.get(each.partition, ()), number)
        return cls(
            HashTrieMap(by_number),
            HashTrieMap(by_partition),
            min(by_number, default=value["next"]),
            value["next"],
            sum(each.size for each in by_number.values()),
            sum(len(each.events) for each in by_number.values()),
        )


NO_SETS: Final = PendingSets()
