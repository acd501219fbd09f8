"""Runtime expressions: jq, evaluated with bounded time and memory (dsl.md, "Runtime Expressions").

A subset of jq, which covers nearly all that workflows do, is compiled to Python closures of bounded work;
the rest runs as real jq in guarded child processes. docs/expressions.md says what is in the subset.
"""

from unspool.definitions.expressions.compiler import ExpressionCompiler
from unspool.definitions.expressions.diagnostics import SourceProblem, source_problems
from unspool.definitions.expressions.errors import EvaluationError, ExpressionError, LimitExceeded
from unspool.definitions.expressions.expression import Budget, Expression, JqRunner
from unspool.definitions.expressions.jq_pool import JqPool
from unspool.definitions.expressions.json_size import MAX_JSON_SIZE, json_size
from unspool.definitions.expressions.lexer import NOW
from unspool.definitions.expressions.ordering import holds
from unspool.definitions.expressions.template import Template

__all__ = [
    "MAX_JSON_SIZE",
    "NOW",
    "Budget",
    "EvaluationError",
    "Expression",
    "ExpressionCompiler",
    "ExpressionError",
    "JqPool",
    "JqRunner",
    "LimitExceeded",
    "SourceProblem",
    "Template",
    "holds",
    "json_size",
    "source_problems",
]
