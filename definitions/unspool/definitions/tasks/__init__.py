"""The kinds of task: one module each, with the compiled form of a task and the function that compiles it.

The modules of the same names in `unspool.worker.interpreter.tasks` interpret them.
"""
