"""The HTTP API: definitions, executions, histories and dead letters for programs (docs/api.md).

`unspool.api.app` has the routes; each module beside it is one kind of resource, or one thing all share.
"""
