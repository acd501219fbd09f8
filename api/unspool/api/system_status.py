"""The services of the deployment, its queues and its store as JSON, for API and CLI."""

from unspool.api.representations import service_json
from unspool.api.transports import Transports
from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.consumers import WORKERS
from unspool.eventstore.monitoring.store_status import StoreStatus
from unspool.eventstore.operations import Waiting


def system_json(status: StoreStatus, transports: Transports) -> dict[str, Json]:
    """Returns services, queues and store as JSON."""
    return {
        "items": [service_json(consumer) for consumer in status.consumers],
        "queues": _queues(status),
        "deadLetters": status.backlog.dead_letters.waiting,
        "timers": {"lateSeconds": status.timer_late},
        "store": {
            "status": "up",
            "roundTripSeconds": round(status.round_trip, 6),
            "time": rfc3339(status.now),
        },
        **transports.json(),
    }


def _queues(status: StoreStatus) -> list[Json]:
    inbox = _queue(status, "inbox", status.backlog.inbox)
    return [inbox | {"services": sum(each.role == WORKERS for each in status.consumers)}] + [
        _queue(status, f"tasks:{name}", waiting) | {"services": status.serving(name)}
        for name, waiting in status.backlog.tasks.items()
    ]


def _queue(status: StoreStatus, name: str, waiting: Waiting) -> dict[str, Json]:
    return {
        "queue": name,
        "waiting": waiting.waiting,
        "held": waiting.held,
        "oldestSeconds": round(status.age(waiting), 3),
    }
