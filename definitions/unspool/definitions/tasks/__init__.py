"""The kinds of task: one module each, with what the kind holds and how it is read from a definition.

What a kind *does* is in the module of the same name in `unspool.worker.interpreter.tasks`.
"""
