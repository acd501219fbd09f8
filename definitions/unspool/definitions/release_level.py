"""The level of the features of definitions that this release knows (`unspool.definitions.feature_levels`)."""

from typing import Final

LEVEL: Final = 1
"""Release 0.1.0 tells none, which is 0. A release that adds something to definitions adds one."""
