"""How often a cache had what was needed."""

from dataclasses import dataclass


@dataclass(slots=True)
class CacheUse:
    """Counts since the start of the process."""

    hits: int = 0
    misses: int = 0
