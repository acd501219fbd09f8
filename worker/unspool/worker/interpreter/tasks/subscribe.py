"""Subscriptions of `call: asyncapi`: an executor sends messages until there are enough (inventory J17, J18).

The executor runs one task for the whole subscription. It numbers the messages that it sends, so each place is
consumed once, even if two executors run the task for a moment. It tells the broker that a message is consumed
after it has seen the event `messages.received` in the history.
"""

from unspool.definitions.json_value import Json
from unspool.definitions.plan import TaskList
from unspool.definitions.tasks.call_asyncapi import SUBSCRIPTION, Subscribe
from unspool.definitions.tasks.iterator import Iterator
from unspool.definitions.tasks.request import queue_of
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Ended
from unspool.worker.interpreter.flow import complete
from unspool.worker.interpreter.iterating import bounded_results, iterate, process, progress_of
from unspool.worker.interpreter.kind import InOrder
from unspool.worker.interpreter.listening import Listening
from unspool.worker.interpreter.resources import documents_of
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope
from unspool.worker.interpreter.state import Purpose

_PROCESSED = "message.processed"


class SubscribeInterpreter(InOrder):
    """Consumes messages, and runs `foreach` for each, one after another."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Subscribe) -> None:
        """Asks an executor for messages, unless none is wanted."""
        data: dict[str, Json] = {}
        if body.each is not None:
            data["foreach"] = True
            if body.conditional:
                data["keep"] = True
        builder.emit("subscription.started", run, data)
        self._request(builder, run, body)
        self._go_on(builder, run, body)

    def _request(self, builder: DecisionBuilder, run: Run, body: Subscribe) -> None:
        scope, consumed = Scope(builder, run), progress_of(builder.run(run.id))
        arguments = scope.evaluate(body.request.arguments, run.input)
        subscription: dict[str, Json] = {
            **arguments[SUBSCRIPTION],
            "since": builder.state.version,
            "place": consumed.received,
            "processed": consumed.place,
        }
        if body.amount is not None:
            subscription["amount"] = body.amount
        if body.conditional:
            subscription["single"] = True
        if body.each is not None:
            subscription["foreach"] = True
        documents = documents_of(builder, run, body.request.documents)
        sent = body.request.with_members({**arguments, SUBSCRIPTION: subscription}, documents)
        builder.request_messages(run, queue_of(body.request.kind), sent)
        if body.lifetime is not None:
            due_at = scope.duration(body.lifetime, run.input).due(builder.now)
            builder.schedule(run, Purpose.LIFETIME, due_at)

    def continue_(self, builder: DecisionBuilder, run: Run, body: Subscribe) -> None:
        """Continues after a fault that the operator's `retry` repairs. Raises `Fault`."""
        if not progress_of(run).done:
            self._request(builder, run, body)
        self._go_on(builder, run, body)

    def messages_received(
        self, builder: DecisionBuilder, run: Run, body: Subscribe, data: dict[str, Json]
    ) -> None:
        """Consumes messages, unless others have taken their places."""
        consumed = progress_of(run)
        if data["place"] != consumed.received:
            return
        messages: list[Json] = data["messages"]
        if body.conditional:
            messages = messages[:1]
        if body.amount is not None:
            messages = messages[: body.amount - consumed.received]
        if not messages:
            return
        builder.add_size_of(messages)
        received: dict[str, Json] = {"messages": messages, "sender": data["sender"]}
        if "ids" in data:
            received["ids"] = data["ids"][: len(messages)]
        builder.emit("messages.received", run, received)
        self._go_on(builder, run, body)

    def answered(self, builder: DecisionBuilder, run: Run, body: Subscribe, output: Json) -> None:
        """The broker has no more messages."""
        self._end(builder, run)
        self._go_on(builder, run, body)

    def timer_fired(self, builder: DecisionBuilder, run: Run, body: Subscribe, purpose: Purpose) -> None:
        """The time of the subscription is over; what was received is still processed (inventory J18)."""
        if not progress_of(run).done:
            self._end(builder, run)
        self._go_on(builder, run, body)

    def tasks(self, body: Subscribe, child: Ended) -> TaskList:
        """The tasks of `foreach`."""
        return _iterator(body).tasks

    def done(self, builder: DecisionBuilder, run: Run, body: Subscribe, child: Ended) -> None:
        """The tasks of `foreach` have processed a message."""
        process(builder, run, _iterator(body), run.data, _PROCESSED)
        self._go_on(builder, run, body)

    def _go_on(self, builder: DecisionBuilder, run: Run, body: Subscribe) -> None:
        """Processes messages, stops consuming if they are enough, and completes after the last one."""
        if body.each is not None:
            iterate(builder, run, body.each, _PROCESSED)
        run = builder.run(run.id)
        consumed = progress_of(run)
        if not consumed.done and _is_met(builder, run, body, consumed):
            self._end(builder, run)
            run = builder.run(run.id)
        if progress_of(run).done and consumed.idle:
            complete(builder, run, bounded_results(builder, consumed, "messages"))

    def _end(self, builder: DecisionBuilder, run: Run) -> None:
        builder.withdraw(run)
        builder.emit("subscription.completed", run, {})
        builder.clear_timers(builder.run(run.id), purpose=Purpose.LIFETIME)


def _is_met(builder: DecisionBuilder, run: Run, body: Subscribe, consumed: Listening) -> bool:
    """Whether enough messages are consumed. Conditions are evaluated when all of them are processed.

    So conditions can read what `foreach` has exported. Raises `Fault`.
    """
    if body.amount is not None:
        return consumed.received >= body.amount
    if not consumed.idle:
        return False
    scope = Scope(builder, run)
    if body.until is not None:
        return scope.holds(body.until, consumed.consumed_events())
    if body.while_ is not None:
        return consumed.received > 0 and not scope.holds(body.while_, consumed.consumed_events())
    return False


def _iterator(body: Subscribe) -> Iterator:
    assert body.each is not None  # only its tasks are children
    return body.each
