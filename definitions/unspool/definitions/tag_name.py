"""The names of tags of executions, and how many an execution has."""

import re
from typing import Final

MAX_TAGS: Final = 16
"""Tags of one execution."""

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
"""Syntax of a name. It has neither `:` nor `=`, which end a name in filters and on the command line."""
