"""When containers are swept: soon after an executor has started, and every minute."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from unspool.eventstore.clock import SystemClock
from unspool.executor.runs.container.address import EngineAddress, engine_address
from unspool.executor.settings import ExecutorSettings

log = logging.getLogger(__name__)

_FIRST_SECONDS: Final = 1.0
"""An executor for one short execution ends before its first sweep."""

_EVERY_SECONDS: Final = 60.0


@asynccontextmanager
async def sweeping(settings: ExecutorSettings) -> AsyncIterator[None]:
    """Sweeps from time to time while the context is open. Raises `BadSetting`."""
    address = engine_address(settings.container_host)
    if address is None:
        yield
        return
    task = asyncio.create_task(_sweep_again_and_again(address), name="container sweep")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _sweep_again_and_again(address: EngineAddress) -> None:
    await asyncio.sleep(_FIRST_SECONDS)
    from unspool.executor.runs.container.engine import EngineUnreachable, opened_engine  # noqa: PLC0415
    from unspool.executor.runs.container.sweep import sweep  # noqa: PLC0415 - only now, to start fast

    async with opened_engine(address) as engine:
        while True:
            try:
                with suppress(EngineUnreachable):  # tasks that need it say so
                    await sweep(engine, SystemClock().now())
            except Exception:
                log.exception("containers could not be swept", extra={"action": "sweep_failed"})
            await asyncio.sleep(_EVERY_SECONDS)
