"""Checks of the settings of Redis that keep acknowledged data safe, when a store is opened."""

from unspool.eventstore.redis.inspection import durability_findings, settings_of
from unspool.eventstore.redis.session import Session, log


async def check_durability(session: Session) -> None:
    """Logs a warning for each setting with which Redis can lose data, if `CONFIG` is allowed."""
    for finding in durability_findings(await settings_of(session)):
        if finding.must:
            action = "redis_evicts" if finding.check == "eviction" else "redis_not_durable"
            log.warning("%s; %s", finding.problem, finding.advice, extra={"action": action})
