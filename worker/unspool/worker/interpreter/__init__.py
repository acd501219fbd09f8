"""The interpreter: `evolve` folds a history into a state, `decide` returns what happens next.

Both are pure: no I/O, no clock, no randomness. Worker, replay and tests call the same two functions.
"""

from unspool.worker.interpreter.decide import MAX_EVENTS, Decision, decide
from unspool.worker.interpreter.evolve import evolve, fold
from unspool.worker.interpreter.state import State

__all__ = ["MAX_EVENTS", "Decision", "State", "decide", "evolve", "fold"]
