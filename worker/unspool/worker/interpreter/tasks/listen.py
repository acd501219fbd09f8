"""`listen`: consumes events until its strategy is met (inventory I46-I53, P1-P7)."""

from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Budget, LimitExceeded
from unspool.definitions.json_value import Json
from unspool.definitions.plan import TaskList
from unspool.definitions.tasks.iterator import Iterator
from unspool.definitions.tasks.listen import Listen
from unspool.eventstore.published_events import CloudEvent, IndexEntry
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Ended
from unspool.worker.interpreter.event_consumption import is_met, open_places
from unspool.worker.interpreter.event_index import index_entry
from unspool.worker.interpreter.event_matching import expected_values, match
from unspool.worker.interpreter.flow import complete
from unspool.worker.interpreter.iterating import bounded_results, iterate, process, progress_of
from unspool.worker.interpreter.kind import InOrder
from unspool.worker.interpreter.listening import Listening
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope

_PROCESSED = "event.processed"


class ListenInterpreter(InOrder):
    """Subscribes to events, and runs `foreach` for each that it consumes, one after another."""

    def begin(self, builder: DecisionBuilder, run: Run, body: Listen) -> None:
        """Subscribes to the events that are published from now on, and to those that the store retains."""
        scope = Scope(builder, run)
        data: dict[str, Json] = {
            "filters": [expected_values(scope, each, run.input) for each in body.to.filters],
            "read": body.read,
        }
        if body.each is not None:
            data["foreach"] = True
            if body.to.condition is not None:
                data["keep"] = True
        builder.emit("workflow.correlation-started", run, data)
        subscribe(builder, builder.run(run.id), body, look_back=True)
        self._go_on(builder, run, body)

    def event_received(self, builder: DecisionBuilder, run: Run, body: Listen, event: CloudEvent) -> None:
        """Consumes an event if a filter that still waits for one matches it; else nothing happens."""
        listening = progress_of(run)
        builder.budget = Budget()
        scope = Scope(builder, run)
        for place in open_filters(body, listening):
            keys = match(scope, body.to.filters[place], listening.expected[place], listening.keys, event)
            if keys is not None:
                self._consume(builder, run, body, place, keys, event)
                return

    def _consume(
        self,
        builder: DecisionBuilder,
        run: Run,
        body: Listen,
        place: int,
        keys: dict[str, Json],
        event: CloudEvent,
    ) -> None:
        data: dict[str, Json] = {"filter": place, "event": event}
        if keys:
            data["keys"] = keys
        if place >= len(body.to.strategy.filters):
            data["until"] = True
        try:
            builder.add_size_of(event)
        except LimitExceeded:  # no history can hold it, so it is not consumed; publishing refuses such events
            return
        before = _index_entries(body, progress_of(run))
        builder.emit("event.received", run, data)
        after = _index_entries(body, progress_of(builder.run(run.id)))
        if after != before:  # a key is known now, or a filter needs no more events
            builder.subscribe(run, after)
        self._go_on(builder, run, body)

    def tasks(self, body: Listen, child: Ended) -> TaskList:
        """The tasks of `foreach`."""
        return _iterator(body).tasks

    def done(self, builder: DecisionBuilder, run: Run, body: Listen, child: Ended) -> None:
        """The tasks of `foreach` have processed an event."""
        process(builder, run, _iterator(body), run.data, _PROCESSED)
        self._go_on(builder, run, body)

    def _go_on(self, builder: DecisionBuilder, run: Run, body: Listen) -> None:
        """Stops listening if the strategy is met, processes events, and completes after the last one."""
        run = builder.run(run.id)
        listening = progress_of(run)
        if not listening.done and _is_met(builder, run, body, listening):
            builder.emit("workflow.correlation-completed", run, _keys(listening))
            builder.unsubscribe(run)
        if body.each is not None:
            iterate(builder, run, body.each, _PROCESSED)
        listening = progress_of(builder.run(run.id))
        if listening.done and listening.idle:
            complete(builder, builder.run(run.id), bounded_results(builder, listening, "events"))


def subscribe(builder: DecisionBuilder, run: Run, body: Listen, *, look_back: bool = False) -> None:
    """Subscribes to the events of the filters that still wait for one."""
    builder.subscribe(run, _index_entries(body, progress_of(run)), look_back=look_back)


def _index_entries(body: Listen, listening: Listening) -> tuple[IndexEntry, ...]:
    """Where the filters that still wait for an event stand in the index, each place once."""
    entries = {
        index_entry(body.to.filters[place], listening.expected[place], listening.keys): None
        for place in open_filters(body, listening)
    }
    return tuple(entries)


def open_filters(body: Listen, listening: Listening) -> list[int]:
    """Returns the places of the filters that may consume an event, in the order in which they are asked."""
    return [] if listening.done else open_places(body.to, listening.filters)


def _is_met(builder: DecisionBuilder, run: Run, body: Listen, listening: Listening) -> bool:
    """Whether enough events are consumed. Raises `Fault`."""

    def holds(condition: Evaluable) -> bool:
        return Scope(builder, run).holds(condition, listening.consumed_events())

    return is_met(body.to, listening.filters, listening.received, holds)


def _keys(listening: Listening) -> dict[str, Json]:
    return {"keys": listening.keys} if listening.keys else {}


def _iterator(body: Listen) -> Iterator:
    assert body.each is not None  # only its tasks are children
    return body.each
