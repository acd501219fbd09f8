"""How long a decision of a schedule, and the history before the next compaction, can be."""

from typing import Final

COMPACT_AFTER: Final = 200
"""Events after which a decision begins with one that holds the whole state; more if it holds more events."""

MAX_STARTS: Final = 100
"""Executions that one commit starts. The next ones follow at once, in another commit."""
