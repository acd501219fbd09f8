"""Checks of a Redis: settings with which it can lose data, memory, clients, clock."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from typing import Final

from unspool.eventstore.errors import StoreError, StoreUnavailable
from unspool.eventstore.operations import Finding, Inspection
from unspool.eventstore.redis.session import Session

_OLDEST: Final = (6, 2)
_SETTINGS: Final = (
    "appendonly",
    "appendfsync",
    "maxmemory-policy",
    "maxmemory",
    "maxclients",
    "stream-node-max-bytes",
)
_SAMPLES: Final = 5
_SLOW_SECONDS: Final = 0.05
_SKEW_SECONDS: Final = 5.0
_FULL: Final = 0.9
_RECOMMENDED_NODE_BYTES: Final = 1024


async def inspected(session: Session) -> Inspection:
    """Checks the Redis of a session. What this user of Redis may not read is left out."""
    round_trip, ahead = await _clock(session)
    info, settings = await asyncio.gather(_info(session), settings_of(session))
    unreadable = await _unreadable(session)
    facts: dict[str, str | int | float | bool | None] = {
        "kind": "redis",
        "version": info.get("valkey_version") or info.get("redis_version"),
        "role": info.get("role"),
        "appendonly": settings.get("appendonly"),
        "appendfsync": settings.get("appendfsync"),
        "maxmemoryPolicy": info.get("maxmemory_policy") or settings.get("maxmemory-policy"),
        "memoryBytes": _number(info, "used_memory"),
        "maxMemoryBytes": _number(info, "maxmemory"),
        "clients": _number(info, "connected_clients"),
        "maxClients": _number(info, "maxclients") or _number(settings, "maxclients"),
        "shards": session.keys.shards,
        "tenants": len(await session.tenants()),
        "unreadableEntries": unreadable,
        "roundTripSeconds": round(round_trip, 6),
        "clockAheadSeconds": round(ahead, 3),
    }
    findings = [
        *durability_findings(settings),
        *_server_findings(info),
        *_room_findings(facts),
        *_clock_findings(round_trip, ahead),
    ]
    if unreadable:
        findings.append(
            Finding(
                "unreadable",
                False,
                f"{unreadable} entries of queues could not be read, and were put aside",
                "look at the streams unspool:*:unreadable; a newer release may have written them",
            )
        )
    return Inspection(facts, findings)


async def settings_of(session: Session) -> dict[str, str]:
    """The settings of Redis that matter here. Those that cannot be read are left out."""
    found: dict[str, str] = {}
    for name in _SETTINGS:
        try:
            reply: list[bytes] = await session.call("CONFIG", "GET", name)
        except StoreUnavailable:
            raise
        except StoreError:  # CONFIG is renamed, forbidden or not allowed to this user: common at providers
            continue
        if reply:
            found[name] = reply[1].decode()
    return found


def durability_findings(settings: Mapping[str, str]) -> Iterator[Finding]:
    """The settings with which Redis can lose data."""
    if settings.get("appendonly") == "no":
        yield Finding(
            "persistence",
            True,
            "Redis runs without its append-only file: a restart loses all executions",
            "set appendonly to yes",
        )
    if settings.get("appendfsync") == "no":
        yield Finding(
            "persistence",
            True,
            "Redis does not sync its append-only file to disk (appendfsync is no)",
            "set appendfsync to everysec or always",
        )
    policy = settings.get("maxmemory-policy", "noeviction")
    if policy != "noeviction":
        yield Finding(
            "eviction",
            True,
            f"Redis deletes keys when its memory is full (maxmemory-policy is {policy})",
            "set maxmemory-policy to noeviction",
        )
    node = settings.get("stream-node-max-bytes", "")
    if node.isdecimal() and int(node) > _RECOMMENDED_NODE_BYTES:
        yield Finding(
            "memory",
            False,
            f"Redis allocates {node} bytes for each short history (stream-node-max-bytes)",
            f"set stream-node-max-bytes to {_RECOMMENDED_NODE_BYTES}",
        )


def _server_findings(info: Mapping[str, str]) -> Iterator[Finding]:
    version = info.get("redis_version", "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers and numbers < _OLDEST:
        yield Finding("version", True, f"Redis {version} is too old", "use Redis 6.2 or later, or Valkey")
    if info.get("role") == "slave":
        yield Finding(
            "role", True, "this Redis is a replica: it refuses writes", "use the URL of its primary"
        )
    for field in ("aof_last_write_status", "aof_last_bgrewrite_status"):
        if info.get(field) == "err":
            yield Finding(
                "persistence",
                True,
                f"Redis could not write its append-only file ({field} is err)",
                "look at the disk and the log of Redis",
            )


def _room_findings(facts: Mapping[str, str | int | float | bool | None]) -> Iterator[Finding]:
    memory, most = facts["memoryBytes"], facts["maxMemoryBytes"]
    if isinstance(memory, int) and isinstance(most, int):
        if not most:
            yield Finding(
                "memory",
                False,
                "Redis has no limit of memory (maxmemory is 0): the system may end it",
                "set maxmemory to less than the machine's memory",
            )
        elif memory > most * _FULL:
            yield Finding(
                "memory",
                True,
                f"Redis uses {memory} of {most} bytes: it soon refuses writes",
                "raise maxmemory, or shorten the retention",
            )
    clients, most_clients = facts["clients"], facts["maxClients"]
    if isinstance(clients, int) and isinstance(most_clients, int) and clients > most_clients * _FULL:
        yield Finding(
            "clients", True, f"Redis has {clients} of {most_clients} clients", "raise maxclients of Redis"
        )


def _clock_findings(round_trip: float, ahead: float) -> Iterator[Finding]:
    if round_trip > _SLOW_SECONDS:
        yield Finding(
            "latency",
            False,
            f"Redis takes {round_trip * 1000:.0f} ms to answer",
            "run the services near Redis, and look for slow commands (SLOWLOG GET)",
        )
    if abs(ahead) > _SKEW_SECONDS:
        yield Finding(
            "clock",
            False,
            f"the clock of Redis is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours",
            "synchronize the clocks (NTP); services correct the difference, but times in logs differ",
        )


async def _clock(session: Session) -> tuple[float, float]:
    """The shortest of some round trips, and how far the clock of Redis is ahead of ours, in seconds."""
    best, ahead = float("inf"), 0.0
    for _ in range(_SAMPLES):
        before, began = time.time(), time.perf_counter()
        there = await session.milliseconds() / 1000
        took = time.perf_counter() - began
        if took < best:
            best, ahead = took, there - (before + took / 2)
    return best, ahead


async def _info(session: Session) -> dict[str, str]:
    try:
        reply: bytes = await session.call("INFO")
    except StoreUnavailable:
        raise
    except StoreError:
        return {}
    lines = (line.partition(":") for line in reply.decode(errors="replace").splitlines() if ":" in line)
    return {name: value for name, _, value in lines}


async def _unreadable(session: Session) -> int:
    """The entries that could not be read."""
    shards = session.keys.all_shards(await session.tenants())
    total = 0
    for first in range(0, len(shards), 64):
        some = shards[first : first + 64]
        total += sum(await asyncio.gather(*(session.call("XLEN", shard.unreadable) for shard in some)))
    return total


def _number(fields: Mapping[str, str], name: str) -> int | None:
    value = fields.get(name, "")
    return int(value) if value.isdecimal() else None
