"""Many live runs by id.

A state has its live runs in a dictionary while they are few: a decision copies it, and changes the copy in
place, in a tenth of a microsecond. With many runs the copy would take longer than the decision. Then the runs
are in a persistent map, which is copied in constant time, but takes almost a microsecond for each change.
"""

from __future__ import annotations  # rpds maps are generic to type checkers only

from collections.abc import Iterable, Iterator, MutableMapping, ValuesView
from typing import Final

from rpds import HashTrieMap, HashTrieSet

from unspool.worker.interpreter.run import Run

_NO_RUNS: Final[HashTrieSet[str]] = HashTrieSet()


class ManyRuns(MutableMapping[str, Run]):
    """Live runs by id, and the children of each.

    Without the children, each fault of an iteration takes longer the more iterations run side by side.
    """

    __slots__ = ("_runs", "children")

    def __init__(self, runs: HashTrieMap[str, Run], children: HashTrieMap[str, HashTrieSet[str]]) -> None:
        self._runs = runs
        self.children = children
        """The ids of the live children of each run that has some."""

    @classmethod
    def of(cls, runs: dict[str, Run]) -> ManyRuns:
        """The same runs."""
        return cls(HashTrieMap(runs), children_by_run(runs.values()))

    def copy(self) -> ManyRuns:
        """A copy, in constant time."""
        return ManyRuns(self._runs, self.children)

    def __getitem__(self, id_: str) -> Run:
        return self._runs[id_]

    def __setitem__(self, id_: str, run: Run) -> None:
        if run.parent is not None and id_ not in self._runs:
            siblings = self.children.get(run.parent, _NO_RUNS)
            self.children = self.children.insert(run.parent, siblings.insert(id_))
        self._runs = self._runs.insert(id_, run)

    def __delitem__(self, id_: str) -> None:
        parent = self._runs[id_].parent
        self._runs = self._runs.remove(id_)
        if parent is not None:
            siblings = self.children[parent].remove(id_)
            changed = self.children.insert(parent, siblings)
            self.children = changed if siblings else changed.remove(parent)

    def __iter__(self) -> Iterator[str]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def values(self) -> ValuesView[Run]:
        """The runs, in no order. To iterate over them takes long: microseconds for each."""
        return self._runs.values()


def children_by_run(runs: Iterable[Run]) -> HashTrieMap[str, HashTrieSet[str]]:
    """The ids of the children of each of these runs that has some."""
    children: dict[str, list[str]] = {}
    for run in runs:
        if run.parent is not None:
            children.setdefault(run.parent, []).append(run.id)
    return HashTrieMap({parent: HashTrieSet(ids) for parent, ids in children.items()})
