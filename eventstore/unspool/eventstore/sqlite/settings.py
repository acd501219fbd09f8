"""Settings of the SQLite adapter."""

from dataclasses import dataclass

from unspool.eventstore.settings import BadSetting, setting


@dataclass(frozen=True, slots=True)
class SqliteSettings:
    """The durability of commits, and how long to wait for locks."""

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
        """Rejects values that SQLite would silently ignore."""
        if self.synchronous not in {"full", "normal"}:
            raise BadSetting(f"UNSPOOL_SQLITE_SYNCHRONOUS must be full or normal, not {self.synchronous!r}")
