"""What the operator of the server lets agents do."""

from dataclasses import dataclass
from typing import Final

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8090


@dataclass(frozen=True, slots=True)
class Allowed:
    """What agents may do besides reading."""

    start: bool = False
    operate: bool = False
    wait_seconds: float = 20.0
    """How long a start waits for the end of its execution."""
