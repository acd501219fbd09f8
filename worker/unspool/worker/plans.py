"""Compiled definitions, kept as long as they are used."""

from collections import OrderedDict
from typing import Final

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqRunner
from unspool.definitions.plan import Plan
from unspool.eventstore.errors import NotFound
from unspool.eventstore.port import Definitions
from unspool.eventstore.records import WorkflowRef

MOST: Final = 500


class Plans:
    """Loads definitions from a store and compiles each once; stored definitions never change."""

    def __init__(self, store: Definitions, jq: JqRunner) -> None:
        self._store = store
        self._jq = jq
        self._plans: OrderedDict[tuple[str, WorkflowRef], Plan] = OrderedDict()

    async def of(self, tenant: str, ref: WorkflowRef) -> Plan:
        """The plan of a definition.

        Raises:
            NotFound: it is not stored.
        """
        key = (tenant, ref)
        plan = self._plans.get(key)
        if plan is None:
            plan = await self._load(tenant, ref)
            self._plans[key] = plan
            if len(self._plans) > MOST:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(key)
        return plan

    async def _load(self, tenant: str, ref: WorkflowRef) -> Plan:
        definition = await self._store.definition(tenant, *ref)
        if definition is None:
            raise NotFound(f"the definition {ref} is not stored")
        return compile_plan(load(definition.text).value, self._jq)
