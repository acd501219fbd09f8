"""Hides known secrets in texts and results before they are stored or logged."""

import heapq
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Final

from unspool.definitions.json_value import Json
from unspool.executor.character_forms import longest, patterns_of
from unspool.executor.joined_lines import Span
from unspool.executor.literal_search import replaced
from unspool.executor.secret_forms import literals_of, texts_of, unchanged

HIDDEN: Final = "***"

_MOST_EXACT: Final = 4096
"""Characters of values that are found in each encoding. Patterns of more of them would be slow to make."""

_PIECE: Final = 16 * 1024
"""Characters that a pattern searches at once: meanwhile no other code of the process runs."""


class Masking(ABC):
    """Hides secrets."""

    @abstractmethod
    def text(self, text: str) -> str:
        """The text without the secrets."""

    @property
    @abstractmethod
    def knows_any(self) -> bool:
        """Whether there is a secret to hide."""

    def value(self, value: Json) -> Json:
        """The value with masked texts, keys and numbers."""
        return self._value(value) if self.knows_any else value

    def _value(self, value: Json) -> Json:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(name): self._value(member) for name, member in value.items()}
            case list():
                return [self._value(item) for item in value]
            case int() | float() if not isinstance(value, bool):
                return value if self.text(str(value)) == str(value) else HIDDEN
            case _:
                return value


class Mask(Masking):
    """Replaces values of secrets by `***`, also if they are URL-encoded, in base64 or hex, or JSON-escaped.

    Short values are found in each encoding, even if each character has another one. Long ones, and their
    lines, are found in those that programs commonly make. A mask of 1 MiB takes seconds, so threads make it.
    """

    def __init__(self, secrets: Iterable[Json]) -> None:
        short, long = texts_of(secrets)
        exact = set(_within(sorted(short, key=lambda text: (len(text), text)), _MOST_EXACT))
        patterns = {pattern for text in exact for pattern in patterns_of(text)}
        longest_first = sorted(patterns, key=lambda pattern: (-len(pattern), pattern))
        self._pattern = re.compile("|".join(longest_first)) if patterns else None
        self._reach = max(map(longest, exact), default=0)
        """Characters of a match at most."""
        self._literals = literals_of(exact, (short - exact) | long)

    @property
    def knows_any(self) -> bool:
        """See `Masking`."""
        return self._pattern is not None or bool(self._literals)

    @property
    def size(self) -> int:
        """How many characters of literal texts it keeps."""
        return self._literals.size

    def text(self, text: str) -> str:
        """See `Masking`."""
        return replaced(text, heapq.merge(self._literals.spans(text), self._matches(text)), HIDDEN)

    def _matches(self, text: str) -> Iterator[Span]:
        """Yields where the pattern matches. It searches piece by piece, so that other threads can go on."""
        if self._pattern is None:
            return
        at = 0
        for end in range(_PIECE, len(text) + _PIECE, _PIECE):
            while at < end and (found := self._pattern.search(text, at, end + self._reach)):
                if found.start() >= end:
                    break
                yield found.span()
                at = found.end()
            at = max(at, end)


def _within(texts: Iterable[str], most: int) -> Iterator[str]:
    """Yields the first texts, as long as they have so many characters together."""
    for text in texts:
        most -= len(text)
        if most < 0:
            return
        yield text


class EnvironmentMask(Masking):
    """Replaces values of the environment of a process by `***`.

    Some of them are documents, so it is made in milliseconds: short values are found in each encoding, the
    others and their lines unchanged. Secrets of the workflow have a mask of their own.
    """

    def __init__(self, values: Iterable[str]) -> None:
        by_length = sorted(set(values), key=len)
        short = list(_within(by_length, _MOST_EXACT))
        self._short = Mask(short)
        self._unchanged = unchanged(by_length[len(short) :])

    @property
    def knows_any(self) -> bool:
        """See `Masking`."""
        return bool(self._unchanged) or self._short.knows_any

    def text(self, text: str) -> str:
        """See `Masking`."""
        return self._short.text(replaced(text, self._unchanged.spans(text), HIDDEN))


class LongMask(Masking):
    """Replaces long texts, such as tokens, by `***`: unchanged, in base64, or encoded as a whole.

    It is made in microseconds.
    """

    def __init__(self, *texts: str) -> None:
        self._literals = literals_of((), texts)

    @property
    def knows_any(self) -> bool:
        """See `Masking`."""
        return bool(self._literals)

    def text(self, text: str) -> str:
        """See `Masking`."""
        return replaced(text, self._literals.spans(text), HIDDEN)


_NO_SECRETS: Final = Mask(())


class TaskMask(Masking):
    """Hides what is secret in a task: secrets of the workflow, and tokens that the task has got meanwhile."""

    def __init__(self) -> None:
        self._secrets: Masking = _NO_SECRETS
        self._learned: list[Masking] = []

    @property
    def knows_any(self) -> bool:
        """See `Masking`."""
        return bool(self._learned) or self._secrets.knows_any

    def hide(self, secrets: Masking) -> None:
        """Hides the secrets of the workflow."""
        self._secrets = secrets

    def learn(self, mask: Masking) -> None:
        """Hides more, which became known while the task ran."""
        if mask.knows_any and mask not in self._learned:
            self._learned.append(mask)

    def text(self, text: str) -> str:
        """See `Masking`."""
        return self._secrets.text(self.without_learned(text))

    def without_learned(self, text: str) -> str:
        """The text, in which only what `learn` was given is hidden."""
        for mask in self._learned:
            text = mask.text(text)
        return text


current: Final[ContextVar[TaskMask | None]] = ContextVar("current mask", default=None)
"""The mask of the task that runs. A handler uses it before it shortens a text."""


def learn(mask: Masking) -> None:
    """Hides more in what the task that runs returns, and in its errors."""
    if (known := current.get()) is not None:
        known.learn(mask)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """The text with `***` in place of each secret, and of the secrets of the task that runs."""
    text = Mask(secrets).text(text)
    known = current.get()
    return text if known is None else known.text(text)
