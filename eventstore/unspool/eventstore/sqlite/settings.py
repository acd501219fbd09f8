"""Settings of the SQLite adapter."""

from dataclasses import dataclass

from unspool.eventstore.settings import BadSetting, setting


@dataclass(frozen=True, slots=True)
class SqliteSettings:
    """How sure a commit is to be, and how long to wait for others."""

    synchronous: str = setting(
        "UNSPOOL_SQLITE_SYNCHRONOUS",
        "full",
        "'full': a commit survives a power loss; 'normal': it survives a crash of the process, and is faster",
    )
    busy_seconds: float = setting(
        "UNSPOOL_SQLITE_BUSY_SECONDS",
        10.0,
        "How long to wait for other processes that write to the same file",
    )

    def __post_init__(self) -> None:
        """Refuses what SQLite would silently take for something else."""
        if self.synchronous not in {"full", "normal"}:
            raise BadSetting(f"UNSPOOL_SQLITE_SYNCHRONOUS must be full or normal, not {self.synchronous!r}")
