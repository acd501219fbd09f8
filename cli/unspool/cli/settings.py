"""The program's own settings."""

from dataclasses import dataclass

from unspool.eventstore.records import DEFAULT_TENANT
from unspool.eventstore.settings import setting


@dataclass(frozen=True, slots=True)
class ProgramSettings:
    """Settings of the command line."""

    tenant: str = setting(
        "UNSPOOL_TENANT", DEFAULT_TENANT, "Tenant of the definitions and executions that commands use"
    )
    api: str = setting(
        "UNSPOOL_API", "", "Address of the API that commands work on if neither --api nor --store is given"
    )
    token: str = setting(
        "UNSPOOL_TOKEN", "", "API key or JWT with which commands with --api call the API", secret=True
    )
    log_level: str = setting(
        "UNSPOOL_LOG_LEVEL",
        "info",
        "Log level of services: debug, info, warning or error; `unspool dev`: warning by default",
    )
    debug: bool = setting("UNSPOOL_DEBUG", False, "Whether to print the traceback of a bug")
