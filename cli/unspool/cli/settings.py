"""The program's own settings."""

from dataclasses import dataclass

from unspool.eventstore.records import DEFAULT_TENANT
from unspool.eventstore.settings import setting


@dataclass(frozen=True, slots=True)
class ProgramSettings:
    """Settings of the command line."""

    tenant: str = setting(
        "UNSPOOL_TENANT", DEFAULT_TENANT, "Whose definitions and executions commands are about"
    )
    log_level: str = setting(
        "UNSPOOL_LOG_LEVEL",
        "info",
        "What services log: debug, info, warning or error; JSON lines unless on a terminal",
    )
    debug: bool = setting("UNSPOOL_DEBUG", False, "Whether a bug is shown with its traceback")
