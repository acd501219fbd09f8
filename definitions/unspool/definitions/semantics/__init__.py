"""Checks that a schema cannot express: names that must exist, targets of `then`, syntax of expressions."""

from unspool.definitions.semantics.calls import check_calls
from unspool.definitions.semantics.case_flow import check_case_flow
from unspool.definitions.semantics.catching import check_catching
from unspool.definitions.semantics.concurrency import check_concurrency
from unspool.definitions.semantics.events import check_events
from unspool.definitions.semantics.execution_tags import check_execution_tags
from unspool.definitions.semantics.expressions import ExpressionProblems, check_expressions
from unspool.definitions.semantics.extensions import check_extensions
from unspool.definitions.semantics.flow import check_flow
from unspool.definitions.semantics.grpc import check_grpc
from unspool.definitions.semantics.masking import check_mask
from unspool.definitions.semantics.references import check_references
from unspool.definitions.semantics.schedules import check_schedule
from unspool.definitions.semantics.sub_workflows import Workflows, check_sub_workflows, known_workflows
from unspool.definitions.semantics.values import check_values

__all__ = [
    "ExpressionProblems",
    "Workflows",
    "check_calls",
    "check_case_flow",
    "check_catching",
    "check_concurrency",
    "check_events",
    "check_execution_tags",
    "check_expressions",
    "check_extensions",
    "check_flow",
    "check_grpc",
    "check_mask",
    "check_references",
    "check_schedule",
    "check_sub_workflows",
    "check_values",
    "known_workflows",
]
