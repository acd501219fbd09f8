"""Compiled definitions, kept as long as they are used."""

import asyncio
from collections import OrderedDict
from typing import Final

from unspool.definitions.compilation import CannotCompile
from unspool.definitions.compile import broken_plan, compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import ExpressionError, JqRunner
from unspool.definitions.plan import Plan
from unspool.eventstore.errors import NotFound
from unspool.eventstore.port import Definitions
from unspool.eventstore.records import WorkflowRef

MOST: Final = 500


class Plans:
    """Loads definitions from a store and compiles each once; stored definitions never change.

    One that cannot be compiled has a plan that faults, so that its executions end with the cause.
    """

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
        # On a thread: a definition of a mebibyte may take seconds, and its author may mean no good.
        return await asyncio.to_thread(self._compile, definition.text)

    def _compile(self, text: str) -> Plan:
        value = load(text).value
        try:
            return compile_plan(value, self._jq)
        except (CannotCompile, ExpressionError) as error:
            return broken_plan(value, str(error))
