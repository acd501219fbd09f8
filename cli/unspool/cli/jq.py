"""The child processes in which expressions run that need real jq."""

from collections.abc import Mapping

from unspool.definitions.expressions import JqPool
from unspool.eventstore.settings import from_environment
from unspool.worker.settings import WorkerSettings


def jq_pool(environment: Mapping[str, str]) -> JqPool:
    """A pool of them with the limits of the settings; to be closed. None is started before it is needed.

    Raises:
        BadSetting: a setting cannot be used.
    """
    settings = from_environment(WorkerSettings, environment)
    return JqPool(settings.jq_processes, settings.jq_seconds, settings.jq_memory_mb << 20)
