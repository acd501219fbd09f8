"""The circuit breaker of a host: after several failures in a row, calls wait for one that tries the host.

Source: M. Nygard, "Release It!", "Circuit Breaker". A call that waits fails only if the trial fails.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager


class HostUnavailable(Exception):
    """A host did not answer the call that tried it."""


Parked = Callable[[], AbstractContextManager[None]]
"""Holds no slot of the executor while the context is open."""


class Circuit:
    """Counts failures of one host in a row."""

    def __init__(self, failures: int, seconds: float) -> None:
        """Takes the failures that open the circuit, and how long it stays open."""
        self._most = failures
        self._seconds = seconds
        self._failures = 0
        self._open_until = 0.0
        self._trial: asyncio.Future[bool] | None = None

    @property
    def is_closed(self) -> bool:
        """Whether calls go through at once."""
        return self._failures < self._most

    async def enter(self, parked: Parked) -> None:
        """Waits until a call may be made. Of the calls that wait, the first is the trial.

        Raises:
            HostUnavailable: the trial failed.
        """
        while not self.is_closed:
            if self._trial is None:
                self._trial = asyncio.get_running_loop().create_future()
                await self._pause(parked)
                return
            with parked():
                answered = await asyncio.shield(self._trial)
            if not answered:
                raise HostUnavailable

    def succeeded(self) -> None:
        """Closes the circuit: the host has answered."""
        self._failures = 0
        self._end_trial(answered=True)

    def failed(self) -> None:
        """Counts a call that the host did not answer."""
        self._failures += 1
        self._open_until = asyncio.get_running_loop().time() + self._seconds
        self._end_trial(answered=False)

    def abandoned(self) -> None:
        """Ends a call without a result: another one can be the trial."""
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.set_result(True)

    async def _pause(self, parked: Parked) -> None:
        left = self._open_until - asyncio.get_running_loop().time()
        try:
            with parked():
                await asyncio.sleep(max(0.0, left))
        except BaseException:
            self.abandoned()
            raise

    def _end_trial(self, *, answered: bool) -> None:
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.set_result(answered)
