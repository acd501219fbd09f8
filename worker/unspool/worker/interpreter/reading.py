"""Evaluates expressions of a run without a decision, for explanations."""

from unspool.definitions.errors import DEFAULT_BASE
from unspool.definitions.plan import Plan
from unspool.worker.interpreter.decision_builder import DecisionBuilder
from unspool.worker.interpreter.extensions import Extensions
from unspool.worker.interpreter.refusals import none_refused
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope
from unspool.worker.interpreter.state import State
from unspool.worker.interpreter.tasks import INTERPRETERS


def scope_of(plan: Plan, state: State, run: Run, now: int) -> Scope:
    """Returns the scope of a run. All that is evaluated in it shares the work units of one task."""
    builder = DecisionBuilder(
        plan, state, now, INTERPRETERS, Extensions(INTERPRETERS), DEFAULT_BASE, lambda _: True, none_refused
    )
    return Scope(builder, run)
