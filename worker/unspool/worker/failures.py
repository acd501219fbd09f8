"""Which exceptions are failures of the message that is being processed.

Not only `Exception`: a panic in a library written in Rust is raised as a `BaseException`. It would end the
asyncio task that processes the execution, and its messages would wait until the process ends.
"""

import asyncio
from typing import Final

INTERRUPTIONS: Final = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)
"""Exceptions that end the processing and say nothing about the message. All others are failures."""
