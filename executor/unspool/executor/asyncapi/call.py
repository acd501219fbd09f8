"""The handler of `call: asyncapi`: publishes a message at a broker, or consumes messages of one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from unspool.definitions import errors
from unspool.definitions.tasks.call_asyncapi import SUBSCRIPTION
from unspool.definitions.tasks.request import DOCUMENTS
from unspool.eventstore.records import TaskRequest
from unspool.executor.asyncapi.document import AsyncApiDocument, parse_document
from unspool.executor.asyncapi.failures import broker_failure
from unspool.executor.asyncapi.filter import MessageFilter
from unspool.executor.asyncapi.messages import outbound, with_trace_context
from unspool.executor.asyncapi.subscription import MOST_MESSAGES, MessageConsumer
from unspool.executor.asyncapi.target import Target, find_target
from unspool.executor.brokers.port import (
    Broker,
    BrokerError,
    NotPossible,
    NotReached,
    Server,
    Subscriber,
    Subscription,
)
from unspool.executor.brokers.protocols import PROTOCOLS, ExtraMissing, connector
from unspool.executor.documents.text import UnusableDocument, unusable
from unspool.executor.kinds import HandlerServices
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected, reject
from unspool.executor.parsed_documents import ParsedDocuments
from unspool.executor.task_context import TaskContext


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["AsyncApiCall"]:
    """Opens the handler."""
    yield AsyncApiCall(services)


class AsyncApiCall:
    """Runs `call: asyncapi` tasks (inventory J15-J18)."""

    def __init__(self, services: HandlerServices) -> None:
        self._services = services
        self._documents = ParsedDocuments(parse_document)

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Makes one call. Every failure becomes an error that the workflow can catch."""
        named = request.arguments[DOCUMENTS]["document"]
        try:
            document = await self._documents.get(context, named["sha256"])
            request = await self._with_token(request)
            target = await asyncio.to_thread(find_target, document, request.arguments)
            if SUBSCRIPTION in request.arguments:
                await self._subscribe(request, context, document, target)
            else:
                await self._publish(request, document, target)
        except UnusableDocument as problem:
            return Faulted(unusable("AsyncAPI document", named["uri"], problem).error)
        except Rejected as rejected:
            return Faulted(rejected.error)
        return Completed(None)

    async def _with_token(self, request: TaskRequest) -> TaskRequest:
        """The request with a token in place of a policy for tokens. Raises `Rejected`."""
        found = await self._services.authentication.descriptor(request.arguments.get("authentication"))
        if found is None:
            return request
        policy = {"bearer": {"token": found["parameter"]}}
        return request._replace(arguments={**request.arguments, "authentication": policy})

    async def _subscribe(
        self, request: TaskRequest, context: TaskContext, document: AsyncApiDocument, target: Target
    ) -> None:
        written = request.arguments[SUBSCRIPTION]
        filter_ = await asyncio.to_thread(MessageFilter.of, written.get("filter"), self._services.jq)
        consumer = MessageConsumer(context, request, document, target.described, filter_)
        settings = self._services.settings
        subscriber = Subscriber(
            f"unspool-{request.execution}-{request.run}", settings.broker_max_message_bytes, MOST_MESSAGES
        )

        @asynccontextmanager
        async def connect() -> AsyncIterator[Subscription]:
            async with AsyncExitStack() as stack:
                async with (
                    self._limited(target.server),
                    asyncio.timeout(settings.broker_timeout_seconds),
                ):
                    broker = await stack.enter_async_context(self._connected(target))
                    subscription = await stack.enter_async_context(
                        broker.subscribe(target.channel, subscriber)
                    )
                yield subscription

        try:
            with context.parked(f"messages of {target.server.label}"):
                await consumer.run(connect)
        except (BrokerError, OSError) as error:
            raise Rejected(broker_failure(target.server, error)) from None

    async def _publish(self, request: TaskRequest, document: AsyncApiDocument, target: Target) -> None:
        message = outbound(document, target.described, request.arguments["message"], request.idempotency_key)
        message = with_trace_context(message, target.server)
        seconds = self._services.settings.broker_timeout_seconds
        server = target.server
        limit: asyncio.Timeout | None = None
        try:
            async with self._limited(server):
                limit = asyncio.timeout(seconds)  # here, because its time begins when it is made
                async with limit, self._connected(target) as broker:
                    await broker.publish(target.channel, message)
        except (BrokerError, OSError) as error:
            if limit is not None and limit.expired():
                detail = f"{server.label} did not take the message within {seconds:g} s"
                raise Rejected(errors.timeout(detail)) from None
            raise Rejected(broker_failure(server, error)) from None

    @asynccontextmanager
    async def _limited(self, server: Server) -> AsyncIterator[None]:
        """Waits until the limits of a broker let a call begin. An error that it sends is an answer."""
        async with self._services.outbound.call(server.host, server.port) as answered:
            try:
                yield
            except BrokerError as error:
                if not isinstance(error, NotReached | NotPossible):
                    answered()
                raise

    @asynccontextmanager
    async def _connected(self, target: Target) -> AsyncIterator[Broker]:
        try:
            connect = await asyncio.to_thread(connector, PROTOCOLS[target.server.protocol])
        except ExtraMissing as error:
            reject(str(error))
        async with connect(target.server, self._services.outbound) as broker:
            yield broker
