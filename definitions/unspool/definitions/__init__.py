"""The DSL: documents with positions, the schema and what it cannot say, the typed plan, runtime expressions.

Nothing here does I/O but the guarded jq children of `unspool.definitions.expressions`.
"""
