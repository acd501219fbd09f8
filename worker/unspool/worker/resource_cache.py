"""The external resources of executions: texts are loaded and compiled before a decision needs them.

So `decide` stays pure: it gets a plan that has the functions and schemas that the execution has fetched.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Generic, TypeVar

from unspool.definitions.expressions import JqRunner
from unspool.definitions.fetched import compile_fetched
from unspool.definitions.plan import Fetched, Plan
from unspool.eventstore.errors import NotFound
from unspool.eventstore.records import Message, MessageKind
from unspool.eventstore.texts import Texts
from unspool.worker.cache_use import CacheUse
from unspool.worker.fetched_resources import KeyAndHash, of_decisions
from unspool.worker.interpreter import State

MOST_TEXTS: Final = 500
MOST_PLANS: Final = 100
"""Each has its own index of tasks."""

Value = TypeVar("Value")


class _Recent(Generic[Value]):
    """The most recently used values."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[object, Value] = OrderedDict()
        self.use = CacheUse()

    def get(self, name: object) -> Value | None:
        if name in self._values:
            self._values.move_to_end(name)
            self.use.hits += 1
        else:
            self.use.misses += 1
        return self._values.get(name)

    def put(self, name: object, value: Value) -> Value:
        self._values[name] = value
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return value


class ResourceCache:
    """Adds to plans what executions have fetched. Texts and plans that were used lately stay in memory."""

    def __init__(self, store: Texts, jq: JqRunner) -> None:
        self._store = store
        self._jq = jq
        self._compiled: _Recent[Fetched] = _Recent(MOST_TEXTS)
        self._plans: _Recent[Plan] = _Recent(MOST_PLANS)
        self._threads = ThreadPoolExecutor(1, "resource compiler")

    @property
    def uses(self) -> dict[str, CacheUse]:
        """The use of its caches, by name."""
        return {"plans": self._plans.use, "texts": self._compiled.use}

    def at_once(self, tenant: str, plan: Plan, state: State, messages: Iterable[Message]) -> Plan | None:
        """The plan for decisions on messages; None if a text must be read first."""
        needed = _needed(plan, state, messages)
        return self._plans.get(_name(tenant, plan, needed)) if needed else plan

    async def plan(self, tenant: str, plan: Plan, state: State, messages: Iterable[Message]) -> Plan:
        """The same; reads what is not in memory.

        Raises:
            NotFound: a text is not stored.
            CorruptHistory: a text does not match its hash.
        """
        needed = _needed(plan, state, messages)
        return await self._with(tenant, plan, needed) if needed else plan

    async def _with(self, tenant: str, plan: Plan, needed: frozenset[KeyAndHash]) -> Plan:
        name = _name(tenant, plan, needed)
        known = self._plans.get(name)
        if known is not None:
            return known
        fetched = {each: await self._fetched(tenant, *each) for each in sorted(needed)}
        return self._plans.put(name, plan.with_resources(fetched))

    async def _fetched(self, tenant: str, key: str, sha256: str) -> Fetched:
        known = self._compiled.get((tenant, key, sha256))
        if known is not None:
            return known
        text = await self._store.text(tenant, sha256)
        if text is None:
            raise NotFound(f"the text {sha256} of {key} is not stored")
        # On a thread: a text of a mebibyte may take seconds, and its author may be hostile.
        loop, jq = asyncio.get_running_loop(), self._jq.for_tenant(tenant)
        compiled = await loop.run_in_executor(self._threads, compile_fetched, key, text, jq)
        return self._compiled.put((tenant, key, sha256), compiled)


def plan_for_replay(plan: Plan, named: Iterable[KeyAndHash], texts: Mapping[str, str], jq: JqRunner) -> Plan:
    """The plan with all resources that a history names.

    Args:
        plan: a plan.
        named: the resources, as `fetched_in` finds them in the history.
        texts: the texts by hash.
        jq: runs the expressions of functions that do not compile to closures.

    Raises:
        NotFound: a text is missing.
    """
    if missing := sorted(key for key, sha256 in named if sha256 not in texts):
        raise NotFound(f"the text of {missing[0]} is missing")
    return plan.with_resources({each: compile_fetched(each[0], texts[each[1]], jq) for each in named})


def _needed(plan: Plan, state: State, messages: Iterable[Message]) -> frozenset[KeyAndHash]:
    """The resources that decisions on messages can use."""
    if not (plan.needs_resources and state.resources):
        return frozenset()
    return of_decisions((*_known(state), *_arrived(state, messages)))


def _known(state: State) -> Iterator[KeyAndHash]:
    for key, resource in state.resources.items():
        if resource.sha256 is not None:
            yield key, resource.sha256


def _arrived(state: State, messages: Iterable[Message]) -> Iterator[KeyAndHash]:
    keys = {each.request: key for key, each in state.resources.items() if each.sha256 is None}
    for message in messages:
        if message.kind is MessageKind.TASK_COMPLETED and message.body["run"] in keys:
            yield keys[message.body["run"]], message.body["output"]["sha256"]


def _name(tenant: str, plan: Plan, needed: frozenset[KeyAndHash]) -> tuple[object, ...]:
    return tenant, plan.namespace, plan.name, plan.version, needed
