"""The progress of a `for` whose iterations run side by side.

Every change takes logarithmic time in the number of items: it never copies the list or the outputs.
"""

from __future__ import annotations  # rpds maps are generic to type checkers only

from typing import NamedTuple

from rpds import HashTrieMap

from unspool.definitions.expressions import MAX_JSON_SIZE, LimitExceeded, json_size
from unspool.definitions.json_value import Json


class Iterations(NamedTuple):
    """The list, and the outputs of the iterations that have ended."""

    items: list[Json]
    input_size: int
    """Size of the loop's input, which each iteration gets."""
    begun: int = 0
    """Number of iterations that have begun; they begin in the order of the list."""
    outputs: HashTrieMap[int, Json] = HashTrieMap()
    """Outputs by place. The output of a task inside an iteration is here until the next task takes it."""
    size: int = 0
    """Size of all outputs."""

    @classmethod
    def over(cls, items: list[Json], given: Json) -> Iterations:
        """Returns the progress of a loop that begins with this input."""
        return cls(items, _size(given))

    def taken(self, place: int, given: Json) -> tuple[Json, Iterations]:
        """Takes the data for the next task of an iteration; returns it and the new progress.

        The first task of an iteration gets the input of the loop.

        Args:
            place: index of the item.
            given: the input of the loop.
        """
        after = self._replace(begun=max(self.begun, place + 1))
        if place not in self.outputs:
            return given, after
        data = self.outputs[place]
        size = self.size - self._size_of(data, given)
        return data, after._replace(outputs=self.outputs.remove(place), size=size)

    def completed(self, place: int, output: Json, given: Json) -> Iterations:
        """Returns the progress with the output of a task of an iteration."""
        size = self.size + self._size_of(output, given)
        return self._replace(outputs=self.outputs.insert(place, output), size=size)

    def _size_of(self, value: Json, given: Json) -> int:
        # Iterations that return a large input must not measure it again each time.
        return self.input_size if value is given else _size(value)


def _size(value: Json) -> int:
    """The size of a value; more than `MAX_JSON_SIZE` if the value exceeds a limit."""
    try:
        return json_size(value)
    except LimitExceeded:
        return MAX_JSON_SIZE + 1
