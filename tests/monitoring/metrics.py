"""Reads what `/metrics` shows."""

from collections.abc import Mapping
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


class Exposition:
    """The metrics in a text."""

    def __init__(self, text: str | bytes) -> None:
        self._values: dict[tuple[str, Labels], float] = {}
        decoded = text.decode() if isinstance(text, bytes) else text
        for family in text_string_to_metric_families(decoded):
            for sample in family.samples:
                series = (sample.name, frozenset(sample.labels.items()))
                assert series not in self._values, f"{series} is there twice"
                self._values[series] = sample.value

    @property
    def names(self) -> frozenset[str]:
        """The names of all series."""
        return frozenset(name for name, _ in self._values)

    def value(self, name: str, **labels: str) -> float:
        """The value of a series."""
        return self._values[name, frozenset(labels.items())]

    def labels(self, name: str) -> list[Mapping[str, Any]]:
        """The labels of all series of a name."""
        return [dict(labels) for found, labels in self._values if found == name]
