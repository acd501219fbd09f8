"""The type of data."""

from typing import Any

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict with str keys."""
