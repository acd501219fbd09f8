"""The handlers of an executor, by kind."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from unspool.definitions.expressions import JqRunner
from unspool.definitions.tasks import call_registered
from unspool.eventstore.rate_limits import RateLimits
from unspool.eventstore.settings import BadSetting
from unspool.executor.authentication.policies import Authentication
from unspool.executor.egress import AddressScope, EgressPolicy, Endpoint, resolve
from unspool.executor.functions.function_set import NO_FUNCTIONS, FunctionSet
from unspool.executor.kinds import BUILT_IN, HandlerServices, LazyHandler, OpenHandler, opener
from unspool.executor.limits.limits import Limits
from unspool.executor.metrics import LimitMetrics
from unspool.executor.outbound import opened_outbound
from unspool.executor.outcome import Handler
from unspool.executor.process_groups import ProcessGroups
from unspool.executor.runs.container.rules import ContainerRules
from unspool.executor.runs.container.sweeping import sweeping
from unspool.executor.runs.permission import allowed
from unspool.executor.secret_handler import SecretHandler
from unspool.executor.secret_masks import SecretMasks
from unspool.executor.secrets import SecretProvider, local_secrets
from unspool.executor.settings import ExecutorSettings


@asynccontextmanager
async def default_handlers(
    settings: ExecutorSettings,
    *,
    store: Iterable[Endpoint] = (),
    jq: JqRunner | None = None,
    secrets: SecretProvider | None = None,
    rates: RateLimits | None = None,
    functions: FunctionSet = NO_FUNCTIONS,
    kinds: Collection[str] = tuple(BUILT_IN),
    metrics: LimitMetrics | None = None,
) -> AsyncIterator[dict[str, Handler]]:
    """The handlers of this release. Their connections close with the context.

    Args:
        settings: of the executor.
        store: the servers of the event store (`store_endpoints(url)`); calls to them are refused.
        jq: evaluates expressions that read secrets and do not compile to closures.
        kinds: the kinds of the handlers; all by default.
        functions: the functions in Python that this executor has.
        secrets: returns the values of secrets; by default from the environment and from files.
        metrics: of the limits of calls; None if they are off.
        rates: keeps the rates of `UNSPOOL_LIMITS`: the event store. Without it no rate is kept.

    Raises:
        BadSetting: `UNSPOOL_EGRESS`, `UNSPOOL_ALLOW`, `UNSPOOL_LIMITS` or one of containers is not valid.
    """
    may_run = allowed(settings)
    if "container" in may_run:
        ContainerRules.of(settings)  # a setting that is not valid stops the executor, and not each task
    policy = EgressPolicy(_address_scope(settings.egress), await asyncio.to_thread(resolve, store))
    provider = secrets or local_secrets(os.environ, settings.secrets_dir, shared=settings.secrets_shared)
    groups = ProcessGroups()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(asyncio.to_thread, groups.close)
        limits = Limits(settings, rates, metrics)
        outbound = await stack.enter_async_context(opened_outbound(policy, limits, settings.concurrency))
        authentication = Authentication(outbound)
        stack.push_async_callback(authentication.close)
        services = HandlerServices(settings, outbound, groups, authentication, jq)
        openers = {kind: opener(BUILT_IN[kind]) for kind in kinds}
        if functions:
            openers[call_registered.KIND] = _opener_of(functions)
        if "container" in may_run:
            await stack.enter_async_context(sweeping(settings))
        masks = SecretMasks()
        yield {
            kind: SecretHandler(
                LazyHandler(open_kind, services, stack), provider, jq, authentication.descriptor, masks
            )
            for kind, open_kind in openers.items()
        }


def _opener_of(functions: FunctionSet) -> Callable[[], OpenHandler]:
    def imported() -> OpenHandler:
        from unspool.executor.functions.handler import open_handler  # noqa: PLC0415 - as all handlers

        return partial(open_handler, functions)

    return imported


def _address_scope(text: str) -> AddressScope:
    try:
        return AddressScope(text.lower())
    except ValueError:
        raise BadSetting(f"UNSPOOL_EGRESS must be private or public, not {text!r}") from None
