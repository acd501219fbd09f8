"""Where executions live: histories, queues, timers, the index and dead letters, behind one port.

`unspool.eventstore.port` is the port, `open_store` in `unspool.eventstore.opening` chooses the adapter.
This package knows nothing of the DSL: to it a definition is text, an event a named record and an
input a JSON value.
"""
