"""The DSL: documents with positions, checks, compilation to a plan, runtime expressions.

Only `unspool.definitions.expressions` does I/O: it runs jq in child processes.
"""
