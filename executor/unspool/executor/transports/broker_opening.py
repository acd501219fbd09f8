"""Opens the channels of brokers that events go to and come from."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Final

from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import BadSetting
from unspool.executor.brokers.protocols import PROTOCOLS, Connect, connector
from unspool.executor.egress import AddressScope, EgressPolicy
from unspool.executor.limits.limits import Limits
from unspool.executor.outbound import Outbound, opened_outbound
from unspool.executor.settings import ExecutorSettings
from unspool.executor.transports.broker_address import BrokerAddress, broker_address
from unspool.executor.transports.broker_sink import BrokerSink
from unspool.executor.transports.broker_source import BrokerSource
from unspool.executor.transports.settings import TransportSettings
from unspool.executor.transports.sink import Sink, Source

_SINK: Final = "UNSPOOL_EVENT_SINK_BROKER"
_SOURCES: Final = "UNSPOOL_EVENTS_BROKERS"


@asynccontextmanager
async def opened_brokers(
    store: EventStore, settings: TransportSettings
) -> AsyncIterator[tuple[list[Sink], list[Source]]]:
    """The sinks and sources of the settings. Their connections close with the context.

    Raises:
        BadSetting: an address is not valid.
    """
    async with AsyncExitStack() as stack:
        outbound = await stack.enter_async_context(_outbound())
        read = [broker_address(_SOURCES, text) for text in settings.source_brokers.split()]
        sources: list[Source] = [BrokerSource(store, each, outbound, _adapter(each)) for each in read]
        sinks: list[Sink] = []
        if settings.sink_broker:
            to = broker_address(_SINK, settings.sink_broker)
            if to.place in {each.place for each in read}:
                raise BadSetting(f"{_SINK} and {_SOURCES} name the same channel")
            sink = BrokerSink(to, outbound, _adapter(to))
            stack.push_async_callback(sink.close)
            sinks.append(sink)
        yield sinks, sources


def _adapter(address: BrokerAddress) -> Callable[[], Connect]:
    return partial(connector, PROTOCOLS[address.server.protocol])


def _outbound() -> AbstractAsyncContextManager[Outbound]:
    """Connections to the brokers of the operator, which may be anywhere in private networks."""
    return opened_outbound(EgressPolicy(AddressScope.PRIVATE), Limits(ExecutorSettings(), None), 10)
