"""Runtime expressions: jq, evaluated where it can harm nobody (dsl.md, "Runtime Expressions").

A subset of jq, which covers nearly all that workflows do, is compiled to Python closures of bounded work;
the rest runs as real jq in guarded child processes. docs/expressions.md says what is in the subset.
"""

from unspool.definitions.expressions.compiler import ExpressionCompiler, problem
from unspool.definitions.expressions.errors import ExpressionError, LimitExceeded
from unspool.definitions.expressions.expression import Expression, JqRunner, Purse
from unspool.definitions.expressions.jq_pool import JqPool
from unspool.definitions.expressions.lexer import NOW
from unspool.definitions.expressions.ordering import holds
from unspool.definitions.expressions.template import Template
from unspool.definitions.expressions.weight import weigh

__all__ = [
    "NOW",
    "Expression",
    "ExpressionCompiler",
    "ExpressionError",
    "JqPool",
    "JqRunner",
    "LimitExceeded",
    "Purse",
    "Template",
    "holds",
    "problem",
    "weigh",
]
