"""The calls of a store that have no payload of an execution or an event, passed on to another store.

Wrappers of stores add the others. A method of the port that neither has is an error of the type checker.
"""

from unspool.eventstore.port import EventStore


class PassedCalls:
    """A part of an `EventStore`, on another one."""

    def __init__(self, inner: EventStore) -> None:
        """Takes the store that gets the calls."""
        self._inner = inner
        self._pass_services(inner)
        self._pass_executions(inner)
        self._pass_events(inner)
        self._pass_callers(inner)

    def _pass_services(self, inner: EventStore) -> None:
        self.open = inner.open
        self.close = inner.close
        self.ping = inner.ping
        self.others_free = inner.others_free
        self.deregister = inner.deregister
        self.queues_served = inner.queues_served
        self.live_consumers = inner.live_consumers
        self.backlog = inner.backlog
        self.inspect = inner.inspect
        self.stored_records = inner.stored_records
        self.register_functions = inner.register_functions
        self.functions = inner.functions
        self.reserve_start = inner.reserve_start

    def _pass_executions(self, inner: EventStore) -> None:
        self.put_definition = inner.put_definition
        self.definition = inner.definition
        self.resolve = inner.resolve
        self.definitions = inner.definitions
        self.deliver_outgoing = inner.deliver_outgoing
        self.trim_history = inner.trim_history
        self.count_executions = inner.count_executions
        self.wait_for_version = inner.wait_for_version
        self.renew_messages = inner.renew_messages
        self.acknowledge = inner.acknowledge
        self.release = inner.release
        self.give_back = inner.give_back
        self.renew_tasks = inner.renew_tasks
        self.requeue = inner.requeue
        self.discard = inner.discard
        self.fire_due_timers = inner.fire_due_timers
        self.wait_for_timers = inner.wait_for_timers
        self.now = inner.now
        self.index_ended = inner.index_ended
        self.index_existing = inner.index_existing
        self.look_again_at = inner.look_again_at
        self.drop = inner.drop
        self.put_content = inner.put_content
        self.content = inner.content
        self.texts_before = inner.texts_before
        self.look_at_text_again = inner.look_at_text_again
        self.drop_text = inner.drop_text

    def _pass_events(self, inner: EventStore) -> None:
        self.wait_for_events = inner.wait_for_events
        self.accepted_by = inner.accepted_by
        self.listening = inner.listening
        self.shapes = inner.shapes
        self.let_go = inner.let_go
        self.keep_sinks = inner.keep_sinks
        self.record_progress = inner.record_progress
        self.sinks = inner.sinks
        self.record_source = inner.record_source
        self.sources = inner.sources

    def _pass_callers(self, inner: EventStore) -> None:
        self.claim_key = inner.claim_key
        self.keep_key = inner.keep_key
        self.release_key = inner.release_key
        self.put_api_key = inner.put_api_key
        self.api_key = inner.api_key
        self.api_keys = inner.api_keys
        self.delete_api_key = inner.delete_api_key
        self.put_session = inner.put_session
        self.session = inner.session
        self.sessions = inner.sessions
        self.delete_session = inner.delete_session
