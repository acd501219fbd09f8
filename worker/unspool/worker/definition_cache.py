"""What is compiled from definitions, kept as long as it is used."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from unspool.eventstore.errors import NotFound
from unspool.eventstore.port import Definitions
from unspool.eventstore.records import WorkflowRef
from unspool.worker.cache_use import CacheUse

_Compiled = TypeVar("_Compiled")

_Name = tuple[str, WorkflowRef]


class DefinitionCache(Generic[_Compiled]):
    """Loads definitions from a store and compiles each once; stored definitions never change."""

    def __init__(self, store: Definitions, compile_text: Callable[[str, str], _Compiled], most: int) -> None:
        """Takes a function of text and tenant, and how many results to keep."""
        self._store = store
        self._compile = compile_text
        self._most = most
        self._compiled: OrderedDict[_Name, _Compiled] = OrderedDict()
        self._threads = ThreadPoolExecutor(2, "compiler")
        self.use = CacheUse()
        self._loading: dict[_Name, asyncio.Task[_Compiled]] = {}

    async def of(self, tenant: str, ref: WorkflowRef) -> _Compiled:
        """Returns what is compiled from a definition.

        Raises:
            NotFound: it is not stored.
        """
        name = (tenant, ref)
        if name in self._compiled:
            return self._used(name)
        loading = self._loading.get(name)
        if loading is None:  # else it is being loaded already: a start of many executions compiles once
            loading = self._loading[name] = asyncio.create_task(self._load(name))
            loading.add_done_callback(lambda _: self._loading.pop(name))
        return await asyncio.shield(loading)

    def has(self, tenant: str, ref: WorkflowRef) -> bool:
        """Whether `of` returns at once."""
        return (tenant, ref) in self._compiled

    def cached(self, tenant: str, ref: WorkflowRef) -> _Compiled | None:
        """Returns what is compiled from a definition, if it is in memory."""
        try:
            return self._used((tenant, ref))
        except KeyError:
            return None

    def _used(self, name: _Name) -> _Compiled:
        compiled = self._compiled[name]
        self.use.hits += 1
        self._compiled.move_to_end(name)
        return compiled

    async def _load(self, name: _Name) -> _Compiled:
        self.use.misses += 1
        tenant, ref = name
        definition = await self._store.definition(tenant, *ref)
        if definition is None:
            raise NotFound(f"the definition {ref} is not stored")
        # On a thread: a definition of a mebibyte may take seconds, and its author may be hostile. On one of
        # its own: the others may be busy with slow expressions, which a new workflow need not wait for.
        loop = asyncio.get_running_loop()
        compiled = await loop.run_in_executor(self._threads, self._compile, definition.text, tenant)
        self._compiled[name] = compiled
        if len(self._compiled) > self._most:
            self._compiled.popitem(last=False)
        return compiled
