"""Slow work of requests, on threads of its own, so that it does not take those of other requests.

An expression of an author, or a large definition, can keep a thread busy for seconds. All other requests
share the threads of the event loop, which are few.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Final, ParamSpec, TypeVar

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class TooMuchWork(Exception):
    """There are too many requests of a kind already; the text says so."""

    def __init__(self, detail: str, *, of_tenant: bool) -> None:
        super().__init__(detail)
        self.of_tenant = of_tenant
        """Whether all of them are of the same tenant."""


class BoundedWork:
    """Threads for one kind of work, and how many requests may wait for them."""

    def __init__(self, name: str, threads: int, most: int, most_of_tenant: int) -> None:
        """Takes the work, in the plural, its threads, and how many requests: of all, of one tenant."""
        self._name, self._most, self._most_of_tenant = name, most, most_of_tenant
        self._threads = ThreadPoolExecutor(threads, name)
        self._by_tenant: Counter[str] = Counter()

    @contextmanager
    def place(self, tenant: str) -> Iterator[None]:
        """Counts a request while it lasts.

        Raises:
            TooMuchWork: there are as many requests as there may be.
        """
        if self._by_tenant[tenant] >= self._most_of_tenant:
            raise TooMuchWork(f"this tenant asks for too many {self._name} at once", of_tenant=True)
        if self._by_tenant.total() >= self._most:
            raise TooMuchWork(f"too many {self._name} are asked for at once", of_tenant=False)
        self._by_tenant[tenant] += 1
        try:
            yield
        finally:
            self._by_tenant[tenant] -= 1
            if not self._by_tenant[tenant]:
                del self._by_tenant[tenant]

    async def run_for(
        self,
        tenant: str,
        function: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Calls a function on one of the threads, for a request that has no place yet. Raises as `place`."""
        with self.place(tenant):
            return await self.run(function, *args, **kwargs)

    async def run(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Calls a function on one of the threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(function, *args, **kwargs))


EXPLANATIONS: Final = BoundedWork("explanations", threads=2, most=32, most_of_tenant=16)
"""Why an execution waits, and who nearly accepted an event: conditions of authors are evaluated."""

CHECKS: Final = BoundedWork("checks of definitions", threads=2, most=128, most_of_tenant=64)
"""Definitions that are deployed, checked or shown."""

DRAWINGS: Final = BoundedWork("drawings", threads=2, most=128, most_of_tenant=64)
"""Diagrams and timelines: a large definition, or a long history, takes seconds."""
