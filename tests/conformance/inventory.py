"""The numbers of the inventory, and those that no case covers yet."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from unspool.definitions.document import load

HERE: Final = Path(__file__).parent


class Section(NamedTuple):
    """One section: its letter, title and numbers."""

    letter: str
    title: str
    numbers: tuple[str, ...]


def _read(name: str) -> dict[str, Any]:
    return load((HERE / name).read_bytes(), name=name).value


def _sections() -> Iterator[Section]:
    for letter, section in _read("inventory.yaml").items():
        numbers = tuple(f"{letter}{number}" for number in range(1, section["last"] + 1))
        yield Section(letter, section["title"], numbers)


def _reasons() -> Iterator[tuple[str, str]]:
    """Yields each number with its reason; `I40-45` names several."""
    for numbers, reason in _read("not_covered.yaml").items():
        letter, (first, _, last) = numbers[0], numbers[1:].partition("-")
        for number in range(int(first), int(last or first) + 1):
            yield f"{letter}{number}", reason


SECTIONS: Final = tuple(_sections())
NOT_COVERED: Final = dict(_reasons())
