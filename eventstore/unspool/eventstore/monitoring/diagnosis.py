"""What should change in the services of a deployment, from what its store says of them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from unspool.definitions.release_level import LEVEL
from unspool.eventstore.consumers import EXECUTORS, TIMERS, WORKERS, Load
from unspool.eventstore.functions import RegisteredFunction
from unspool.eventstore.monitoring.store_status import StoreStatus
from unspool.eventstore.operations import Finding, LiveConsumer, known_level
from unspool.eventstore.sinks import SinkStatus
from unspool.eventstore.sources import SourceStatus

LATE_SECONDS: Final = 60.0
"""Work that has waited for this time waits for too long."""

_TIMER_LATE_SECONDS: Final = 5.0
_SKEW_SECONDS: Final = 5.0
"""A heartbeat that waits for the store makes a clock look this much late, at most."""
_SHOWN: Final = 3
"""Services that a finding names, at most."""

_UNSERVED_MILLISECONDS: Final = 180_000
"""Processes record every minute which sinks they serve."""


def service_findings(status: StoreStatus, functions: Sequence[RegisteredFunction]) -> list[Finding]:
    """What should change in workers, executors, timer services and queues."""
    return [
        *_workers(status),
        *_timers(status),
        *_executors(status),
        *_functions(status, functions),
        *_dead_letters(status),
        *_versions(status),
        *_older(status),
        *_keys(status),
        *_clocks(status),
    ]


def transport_findings(
    sinks: Sequence[SinkStatus], sources: Sequence[SourceStatus], now: int
) -> list[Finding]:
    """What should change in sinks and sources of events."""
    return [*_sinks(sinks, now), *_sources(sources)]


def _workers(status: StoreStatus) -> Iterator[Finding]:
    inbox, workers = status.backlog.inbox, _of_role(status, WORKERS)
    if not workers:
        waiting = f", and {inbox.waiting} messages wait" if inbox.waiting else ""
        yield Finding("workers", inbox.waiting > 0, f"no worker is alive{waiting}", "start `unspool worker`")
        return
    if status.age(inbox) > LATE_SECONDS:
        yield Finding(
            "inbox",
            True,
            f"the oldest of {inbox.waiting} messages has waited for {status.age(inbox):.0f} s",
            "start more workers, and look at their logs",
        )
    if all(consumer.load is Load.FULL for consumer in workers):
        yield Finding(
            "workers",
            False,
            "all workers are full: expressions wait for processes of jq",
            "start more workers, or raise UNSPOOL_JQ_PROCESSES",
        )
    if len(workers) == 1:
        yield _alone("workers", "worker")


def _timers(status: StoreStatus) -> Iterator[Finding]:
    services = _of_role(status, TIMERS)
    late = status.timer_late > _TIMER_LATE_SECONDS
    if not services:
        what = f", and a timer is {status.timer_late:.0f} s late" if late else ""
        yield Finding("timers", late, f"no timer service is alive{what}", "start `unspool timer`")
        return
    if late:
        yield Finding(
            "timers",
            True,
            f"the earliest timer is {status.timer_late:.0f} s late",
            "look at the logs of the timer services, and at the load of the store",
        )
    if len(services) == 1:
        yield _alone("timers", "timer service")


def _executors(status: StoreStatus) -> Iterator[Finding]:
    if not _of_role(status, EXECUTORS):
        yield Finding("executors", False, "no executor is alive", "start `unspool executor`")
    for queue, tasks in status.backlog.tasks.items():
        if tasks.waiting and not status.serving(queue):
            yield Finding(
                "queues",
                True,
                f"{tasks.waiting} tasks wait in the queue {queue}, which no executor serves",
                f"start an executor for the queue {queue}",
            )
        elif status.age(tasks) > LATE_SECONDS:
            yield Finding(
                "queues",
                True,
                f"the oldest of {tasks.waiting} tasks in the queue {queue} has waited for "
                f"{status.age(tasks):.0f} s",
                "start more executors, or raise UNSPOOL_EXECUTOR_CONCURRENCY",
            )


def _functions(status: StoreStatus, functions: Sequence[RegisteredFunction]) -> Iterator[Finding]:
    for function in functions:
        if not function.is_live(status.now):
            yield Finding(
                "functions",
                False,
                f"no executor that is alive has the function {function.name}:{function.version}",
                "start an executor with its module (--functions), unless nothing calls it any more",
            )


def _dead_letters(status: StoreStatus) -> Iterator[Finding]:
    letters = status.backlog.dead_letters
    if letters.waiting:
        yield Finding(
            "dead letters",
            True,
            f"{letters.waiting} dead letters, the oldest for {status.age(letters):.0f} s: their executions "
            "do not continue",
            "look at them with `unspool dlq list`, and requeue or discard each",
        )


def _versions(status: StoreStatus) -> Iterator[Finding]:
    versions = Counter(each.process.version if each.process else "0.1.0" for each in status.consumers)
    if len(versions) > 1:
        shown = ", ".join(f"{count} of {version}" for version, count in sorted(versions.items()))
        yield Finding("versions", False, f"services of several versions are alive: {shown}", "end the update")


def _older(status: StoreStatus) -> Iterator[Finding]:
    older = [each for each in status.consumers if known_level([each]) < LEVEL]
    if older:
        shown = ", ".join(map(_named, older[:_SHOWN]))
        yield Finding(
            "features",
            False,
            f"services of an older release ({len(older)}) do not know all that definitions can use: {shown}",
            "end the update before you start what they do not know; deployments of definitions warn of it",
        )


def _keys(status: StoreStatus) -> Iterator[Finding]:
    for each in status.consumers:
        if each.keys.missing:
            lacks = ", ".join(map(repr, each.keys.missing))
            yield Finding(
                "keys",
                True,
                f"{_named(each)} lacks the key {lacks}, so it leaves the payloads that need it to others",
                "add the key to its file (UNSPOOL_ENCRYPTION_KEYS_FILE)",
            )
    yield from _keys_of_others(status)
    used = Counter(each.keys.encrypts for each in status.consumers if each.process is not None)
    if len(used) > 1:
        shown = ", ".join(
            f"{count} with {id_!r}" if id_ else f"{count} with none" for id_, count in sorted(used.items())
        )
        yield Finding(
            "keys",
            False,
            f"services encrypt payloads with different keys: {shown}",
            "give all of them the same file (UNSPOOL_ENCRYPTION_KEYS_FILE), the new key first",
        )


def _keys_of_others(status: StoreStatus) -> Iterator[Finding]:
    """Keys that some services have and others do not. An API tells only so that it lacks one."""
    telling = [each for each in status.consumers if each.process is not None]
    encrypting = {each.keys.encrypts for each in telling}
    for id_ in sorted({id_ for each in telling for id_ in each.keys.decrypts}):
        without = [each for each in telling if id_ not in (*each.keys.decrypts, *each.keys.missing)]
        if without:
            use = "with which others encrypt payloads" if id_ in encrypting else "which others have"
            shown = ", ".join(map(_named, without[:_SHOWN]))
            yield Finding(
                "keys",
                id_ in encrypting,
                f"services ({len(without)}) do not have the key {id_!r}, {use}: {shown}",
                "give all services the same file (UNSPOOL_ENCRYPTION_KEYS_FILE)",
            )


def _named(consumer: LiveConsumer) -> str:
    host = f" on {consumer.process.host}" if consumer.process else ""
    return f"the {consumer.service} {consumer.name}{host}"


def _clocks(status: StoreStatus) -> Iterator[Finding]:
    for each in status.consumers:
        if abs(each.clock_ahead) > _SKEW_SECONDS:
            how = "ahead of" if each.clock_ahead > 0 else "behind"
            yield Finding(
                "clock",
                False,
                f"the clock of {_named(each)} is {abs(each.clock_ahead):.0f} s {how} that of the store",
                "synchronize the clocks (NTP)",
            )


def _sinks(sinks: Sequence[SinkStatus], now: int) -> Iterator[Finding]:
    for sink in sinks:
        if sink.failing_since is not None:
            yield Finding(
                "sinks",
                True,
                f"the sink {sink.name} fails: {sink.failure}; {sink.lag} events wait for it",
                "repair what it sends to, before events are dropped (UNSPOOL_EVENT_SINK_BACKLOG)",
            )
        elif sink.lag and now - sink.kept_at > _UNSERVED_MILLISECONDS:
            yield Finding(
                "sinks",
                True,
                f"no process sends to the sink {sink.name}; {sink.lag} events wait for it",
                "start an executor with the setting of the sink; for `archive`, a timer service",
            )
        if sink.dropped:
            yield Finding(
                "sinks",
                False,
                f"{sink.dropped} events were deleted before the sink {sink.name} got them",
                "raise UNSPOOL_EVENT_SINK_BACKLOG, if it may be away for so long again",
            )


def _sources(sources: Sequence[SourceStatus]) -> Iterator[Finding]:
    for source in sources:
        if source.failing_since is not None:
            yield Finding(
                "sources",
                True,
                f"the source {source.name} cannot be read: {source.failure}",
                "repair it, or the setting that names it",
            )


def _of_role(status: StoreStatus, role: str) -> list[LiveConsumer]:
    return [consumer for consumer in status.consumers if consumer.role == role]


def _alone(check: str, what: str) -> Finding:
    return Finding(check, False, f"only one {what} is alive", "start another one, so that one can fail")
