"""Settings of metrics and health checks, the same for all services."""

from dataclasses import dataclass

from unspool.eventstore.settings import setting


@dataclass(frozen=True, slots=True)
class MonitoringSettings:
    """Where a service answers to monitoring, and when it is not ready."""

    port: int = setting(
        "UNSPOOL_METRICS_PORT",
        0,
        "Port on which a worker, executor or timer service serves /metrics and /health; 0: none",
        least=0,
        most=65535,
    )
    host: str = setting("UNSPOOL_METRICS_HOST", "127.0.0.1", "Address of this port")
    ready_lag_seconds: float = setting(
        "UNSPOOL_READY_LAG_SECONDS",
        300.0,
        "Seconds that work may wait; then a worker, executor or timer service is not ready. 0: it always is",
    )
    workflows: int = setting(
        "UNSPOOL_METRICS_WORKFLOWS",
        100,
        "Workflows that metrics tell apart in one process; the others are counted as 'other'",
        least=0,
    )
    tenants: int = setting(
        "UNSPOOL_METRICS_TENANTS",
        50,
        "Tenants that metrics tell apart in one process; the others are counted as 'other'",
        least=0,
    )
