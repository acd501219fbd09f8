"""Compiled definitions; the most recently used ones stay in memory."""

from typing import Final

from unspool.definitions.compile import plan_of
from unspool.definitions.expressions import JqRunner
from unspool.definitions.plan import Plan
from unspool.eventstore.port import Definitions
from unspool.worker.definition_cache import DefinitionCache

MOST: Final = 500


class PlanCache(DefinitionCache[Plan]):
    """The plans of definitions.

    A definition that cannot be compiled has a plan that faults, so that its executions end with the cause.
    """

    def __init__(self, store: Definitions, jq: JqRunner) -> None:
        super().__init__(store, lambda text, tenant: plan_of(text, jq.for_tenant(tenant)), MOST)
