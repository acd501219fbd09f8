"""The settings of all services, in groups: `unspool config` and docs/reference/settings.md list them so."""

from typing import Any, Final, NamedTuple

from unspool.api.authentication.jwt_settings import JwtSettings
from unspool.api.authentication.oidc_settings import OidcSettings
from unspool.api.authentication.settings import AuthenticationSettings
from unspool.api.settings import ApiSettings
from unspool.cli.settings import ProgramSettings
from unspool.eventstore.encryption.settings import EncryptionSettings
from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.executor.settings import ExecutorSettings
from unspool.executor.transports.settings import TransportSettings
from unspool.timer_service import RetentionSettings, TimerSettings
from unspool.worker.schedule.settings import ScheduleSettings
from unspool.worker.settings import WorkerSettings

STORE_HELP: Final = "URL of the event store; --store overrides it"


class Group(NamedTuple):
    """Settings with one subject."""

    title: str
    services: str
    """Who reads them. `unspool dev` and `unspool run` have all services of this process."""
    classes: tuple[type[Any], ...]


GROUPS: Final = (
    Group("Commands", "all commands; the log level: all services", (ProgramSettings,)),
    Group("Worker", "worker; those of jq: executor and API too", (WorkerSettings,)),
    Group("Schedules", "worker", (ScheduleSettings,)),
    Group("Executor", "executor; the directory of secrets: API too, for webhooks", (ExecutorSettings,)),
    Group("Timer service", "timer service", (TimerSettings,)),
    Group("Retention", "timer service, which deletes what has ended", (RetentionSettings,)),
    Group(
        "Monitoring",
        "worker, executor and timer service; the number of tenants: API too",
        (MonitoringSettings,),
    ),
    Group("API", "API", (ApiSettings,)),
    Group(
        "Access to the API",
        "API; those of keys and JWTs: `unspool mcp --http` too",
        (AuthenticationSettings, JwtSettings, OidcSettings),
    ),
    Group("Encryption", "all services; set the same values for all", (EncryptionSettings,)),
    Group("Events", "all services; set the same values for all", (EventSettings,)),
    Group("Sinks and sources of events", "executor", (TransportSettings,)),
    Group("Redis", "all services, with a store on Redis", (RedisSettings,)),
    Group("SQLite", "all services, with a store on SQLite", (SqliteSettings,)),
)
