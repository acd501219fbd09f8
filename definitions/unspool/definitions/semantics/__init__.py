"""What the schema cannot say: names that must exist, where `then` may lead, expressions that must compile."""

from unspool.definitions.semantics.expressions import ExpressionProblem, check_expressions
from unspool.definitions.semantics.flow import check_flow
from unspool.definitions.semantics.references import check_references
from unspool.definitions.semantics.values import check_values

__all__ = ["ExpressionProblem", "check_expressions", "check_flow", "check_references", "check_values"]
