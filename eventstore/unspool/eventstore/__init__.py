"""The event store: histories, queues, timers, the index and dead letters behind one port.

`unspool.eventstore.port` defines the port; `open_store` in `unspool.eventstore.opening` selects the adapter.
This package does not know the DSL: a definition is text, an event is a named record, an input is a JSON
value.
"""
