"""Child processes that evaluate the expressions that need real jq."""

from collections.abc import Mapping

from unspool.definitions.expressions import JqPool
from unspool.eventstore.settings import from_environment
from unspool.worker.settings import WorkerSettings


def jq_pool(environment: Mapping[str, str]) -> JqPool:
    """Returns a pool with the limits from the settings. Close it after use. It starts processes on demand.

    Raises:
        BadSetting: a setting is not valid.
    """
    settings = from_environment(WorkerSettings, environment)
    return JqPool(settings.jq_processes, settings.jq_seconds, settings.jq_memory_mb << 20)
