"""Compiled definitions; the most recently used ones stay in memory."""

import asyncio
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from unspool.definitions.compile import plan_of
from unspool.definitions.expressions import JqRunner
from unspool.definitions.plan import Plan
from unspool.eventstore.errors import NotFound
from unspool.eventstore.port import Definitions
from unspool.eventstore.records import WorkflowRef

MOST: Final = 500


class PlanCache:
    """Loads definitions from a store and compiles each once; stored definitions never change.

    If a definition cannot be compiled, its plan faults, so that its executions end with the cause.
    """

    def __init__(self, store: Definitions, jq: JqRunner) -> None:
        self._store = store
        self._jq = jq
        self._plans: OrderedDict[tuple[str, WorkflowRef], Plan] = OrderedDict()
        self._compilers = ThreadPoolExecutor(2, "compiler")
        self._loading: dict[tuple[str, WorkflowRef], asyncio.Task[Plan]] = {}

    async def of(self, tenant: str, ref: WorkflowRef) -> Plan:
        """The plan of a definition.

        Raises:
            NotFound: it is not stored.
        """
        plan = self.cached(tenant, ref)
        if plan is not None:
            return plan
        loading = self._loading.get((tenant, ref))
        if (
            loading is None
        ):  # otherwise it is being loaded: many executions that start at once compile it once
            loading = self._loading[tenant, ref] = asyncio.create_task(self._load(tenant, ref))
            loading.add_done_callback(lambda _: self._loading.pop((tenant, ref)))
        return await asyncio.shield(loading)

    def cached(self, tenant: str, ref: WorkflowRef) -> Plan | None:
        """The plan of a definition, if it is in memory."""
        plan = self._plans.get((tenant, ref))
        if plan is not None:
            self._plans.move_to_end((tenant, ref))
        return plan

    async def _load(self, tenant: str, ref: WorkflowRef) -> Plan:
        definition = await self._store.definition(tenant, *ref)
        if definition is None:
            raise NotFound(f"the definition {ref} is not stored")
        # In a thread, because a definition of 1 MiB may take seconds, and its author may be malicious. Not in
        # the threads for decisions, because these may be busy with slow expressions.
        loop = asyncio.get_running_loop()
        plan = await loop.run_in_executor(
            self._compilers, plan_of, definition.text, self._jq.for_tenant(tenant)
        )
        self._plans[tenant, ref] = plan
        if len(self._plans) > MOST:
            self._plans.popitem(last=False)
        return plan
