"""The worker's settings."""

import re
from dataclasses import dataclass
from typing import Final

from unspool.definitions.errors import DEFAULT_BASE
from unspool.eventstore.settings import BadSetting, setting

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:([\w.~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+", re.ASCII)
"""A URI, by its characters (RFC 3986)."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of a worker; every field is an environment variable."""

    concurrency: int = setting(
        "UNSPOOL_WORKER_CONCURRENCY", 4, "Batches of messages that a worker processes at once"
    )
    batch: int = setting("UNSPOOL_WORKER_BATCH", 128, "Messages in a batch, at most")
    cached_states: int = setting(
        "UNSPOOL_WORKER_CACHED_STATES", 10_000, "States of executions that a worker keeps in memory"
    )
    snapshot_every: int = setting(
        "UNSPOOL_SNAPSHOT_EVERY", 500, "Events after which a state is kept beside its history"
    )
    max_depth: int = setting(
        "UNSPOOL_MAX_DEPTH", 32, "Sub-workflows inside each other, at most; a deeper one faults"
    )
    lease_seconds: float = setting(
        "UNSPOOL_WORKER_LEASE_SECONDS",
        30.0,
        "Seconds after which an unanswered message goes to another worker",
    )
    grace_seconds: float = setting(
        "UNSPOOL_WORKER_GRACE_SECONDS", 10.0, "Seconds a stopping worker has to finish what is in flight"
    )
    error_base: str = setting(
        "UNSPOOL_ERROR_BASE", DEFAULT_BASE, "URI under which standard errors are written"
    )
    lifecycle_events: bool = setting(
        "UNSPOOL_LIFECYCLE_EVENTS",
        False,
        "Whether lifecycle events of workflows and tasks are published",
    )
    jq_processes: int = setting(
        "UNSPOOL_JQ_PROCESSES", 4, "Child processes for expressions that need real jq"
    )
    jq_seconds: float = setting(
        "UNSPOOL_JQ_SECONDS", 1.0, "Seconds of processor time that an expression may take"
    )
    jq_memory_mb: int = setting("UNSPOOL_JQ_MEMORY_MB", 512, "Memory an expression may take, in MiB")

    def __post_init__(self) -> None:
        """Checks the base of errors.

        Raises:
            BadSetting: it is not a URI.
        """
        if not _URI.fullmatch(self.error_base):
            raise BadSetting(
                f"UNSPOOL_ERROR_BASE must be a URI such as {DEFAULT_BASE}, not {self.error_base!r}"
            )
