"""Stops and removes containers that their executors cannot.

They are those of executors that were killed together with their helper process. It also removes containers
with the lifetime `eventually`, of all executors.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from unspool.executor.runs.container import labels
from unspool.executor.runs.container.engine import Engine, EngineError
from unspool.executor.runs.container.owner import is_gone

log = logging.getLogger(__name__)

_GRACE_MS: Final = 60_000
"""How long after the deadline of its task a container is stopped: the executor of the task does it before."""

_STARTING_MS: Final = 600_000
"""How old a container is that will not be started any more: its task was cancelled at that moment."""


async def sweep(engine: Engine, now: int) -> None:
    """Looks at all containers of executors once.

    Args:
        engine: the engine.
        now: milliseconds since 1970.

    Raises:
        EngineUnreachable: the engine does not answer.
    """
    for container in await engine.labelled(labels.RUN):
        with suppress(EngineError):  # another executor may have removed it
            await _look_at(engine, container, container.get("Labels") or {}, now)


async def _look_at(engine: Engine, container: Mapping[str, Any], known: Mapping[str, str], now: int) -> None:
    id_, state = container["Id"], container.get("State")
    gone = is_gone(known.get(labels.OWNER, ""))
    if state == "running" and known.get(labels.AWAITED) == "true":
        deadline = labels.number(known, labels.DEADLINE)
        if not (gone or (deadline is not None and now > deadline + _GRACE_MS)):
            return
        log.warning("a container without its executor is stopped: %s", id_[:12], extra={"action": "swept"})
        await engine.kill(id_)
        state = "exited"
    if (state == "created" and (gone or container.get("Created", 0) * 1000 < now - _STARTING_MS)) or (
        state == "exited" and (_removed_always(known, gone=gone) or await _is_due(engine, id_, known, now))
    ):
        await engine.remove(id_)


def _removed_always(known: Mapping[str, str], *, gone: bool) -> bool:
    return gone and known.get(labels.CLEANUP) == "always"


async def _is_due(engine: Engine, container: str, known: Mapping[str, str], now: int) -> bool:
    after = labels.number(known, labels.REMOVE_AFTER)
    if after is None:
        return False
    state = (await engine.inspect(container)).get("State") or {}
    ended = milliseconds_of(state.get("FinishedAt", ""))
    return ended is not None and now >= ended + after


def milliseconds_of(text: str) -> int | None:
    """The time in an RFC 3339 text; None for the year 1, which engines write for "never"."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if time.year < 1970 else int(time.astimezone(UTC).timestamp() * 1000)
