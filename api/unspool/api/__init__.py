"""The HTTP API: definitions, executions, histories and dead letters (docs/api.md).

`unspool.api.app` has the routes. Each other module handles one kind of resource, or code that
all of them share.
"""
