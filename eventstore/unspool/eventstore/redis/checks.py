"""Checks of the settings of Redis that keep acknowledged data safe."""

from unspool.eventstore.errors import StoreError, StoreUnavailable
from unspool.eventstore.redis.session import Session, log


async def check_durability(session: Session) -> None:
    """Logs a warning for each setting with which Redis can lose data, if `CONFIG` is allowed."""
    if await _setting(session, "appendonly") == "no":
        log.warning(
            "Redis runs without its append-only file: a restart loses all executions; set appendonly to yes",
            extra={"action": "redis_not_durable"},
        )
    if await _setting(session, "appendfsync") == "no":
        log.warning(
            "Redis does not sync its append-only file to disk (appendfsync is no); "
            "set it to everysec or always",
            extra={"action": "redis_not_durable"},
        )
    policy = await _setting(session, "maxmemory-policy")
    if policy is not None and policy != "noeviction":
        log.warning(
            "Redis deletes keys when its memory is full (maxmemory-policy is %s); set it to noeviction",
            policy,
            extra={"action": "redis_evicts"},
        )


async def _setting(session: Session, name: str) -> str | None:
    try:
        reply: list[bytes] = await session.call("CONFIG", "GET", name)
    except StoreUnavailable:
        raise
    except StoreError:  # CONFIG is renamed, forbidden or not allowed to this user: common at providers
        return None
    return reply[1].decode() if reply else None
