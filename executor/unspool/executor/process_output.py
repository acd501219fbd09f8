"""The output of a process: collected to a limit, and shown as progress while it runs."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final

from unspool.definitions.json_value import Json
from unspool.executor.masking import EnvironmentMask, masked

_REPORT_SECONDS: Final = 2.0
"""A process that writes is reported after this time, and then at most this often."""

_TAIL: Final = 300
"""Characters of each output in a report. As JSON, each has at most 6 bytes, and a report at most 4096."""

_NAMES: Final = {1: "standard output", 2: "standard error"}


class OutputTooLarge(Exception):
    """A process wrote more than its limit."""


class Output:
    """Collects standard output (1) and standard error (2)."""

    def __init__(
        self, limit: int, report: Callable[[Json], None] | None = None, secrets: Collection[str] = ()
    ) -> None:
        """Takes the limit of each in bytes, what gets the progress, and texts that it must not have."""
        self.overflow: str | None = None
        """What was too much, if one was larger than the limit."""
        self._limit = limit
        self._report = report
        self._secrets = secrets
        self._mask: EnvironmentMask | None = None
        self._masked_bytes = _TAIL * 8
        """The end of an output that is masked for a report: a secret can begin before what is shown."""
        self._collected = {1: bytearray(), 2: bytearray()}
        self._timer: asyncio.TimerHandle | None = None

    def add(self, number: int, data: bytes) -> None:
        """Adds what the process wrote to one of them."""
        collected = self._collected[number]
        collected += data[: self._limit + 1 - len(collected)]
        if len(collected) > self._limit:
            self.overflow = f"more than {self._limit} bytes were written to {_NAMES[number]}"
        if self._report is not None and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_REPORT_SECONDS, self._show, self._report)

    def close(self) -> None:
        """Ends the reports."""
        if self._timer is not None:
            self._timer.cancel()

    def text(self, number: int) -> str:
        """What was written to one of them, as UTF-8."""
        return self._collected[number].decode("utf-8", "replace")

    def _show(self, report: Callable[[Json], None]) -> None:
        self._timer = None
        if self._mask is None:  # making it takes longer than using it
            self._mask = EnvironmentMask(self._secrets)
            self._masked_bytes += max((len(text.encode()) for text in self._secrets), default=0)
        report({"stdout": self._tail(1, self._mask), "stderr": self._tail(2, self._mask)})

    def _tail(self, number: int, mask: EnvironmentMask) -> str:
        # Masked before it is cut, so that no part of a secret is left.
        recent = self._collected[number][-self._masked_bytes :].decode("utf-8", "replace")
        return masked(mask.text(recent))[-_TAIL:]
