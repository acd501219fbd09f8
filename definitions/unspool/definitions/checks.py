"""Runs all checks of a workflow definition."""

from collections.abc import Collection

from unspool.definitions.document import Document, load
from unspool.definitions.findings import Findings, TooManyProblems
from unspool.definitions.problems import DefinitionInvalid, Problem, Severity
from unspool.definitions.schema import check_structure
from unspool.definitions.semantics import (
    ExpressionProblems,
    Workflows,
    check_calls,
    check_case_flow,
    check_catching,
    check_concurrency,
    check_events,
    check_execution_tags,
    check_expressions,
    check_extensions,
    check_flow,
    check_grpc,
    check_mask,
    check_references,
    check_schedule,
    check_sub_workflows,
    check_values,
)


def check(
    document: Document,
    *,
    expression_problems: ExpressionProblems | None = None,
    workflows: Workflows | None = None,
    functions: Collection[str] | None = (),
) -> tuple[Problem, ...]:
    """Returns all errors and warnings of a definition, in the order of the text.

    Args:
        document: the result of `load`.
        expression_problems: returns what is wrong with the source of an expression, which has no `${ }`.
            If it is None, the syntax of expressions is not checked.
        workflows: all workflows that sub-workflows can be, as `known_workflows` returns them. If it is None,
            any workflow may exist.
        functions: the functions that executors are known to have, as `name` and `name:version`; a call of
            another one is a warning. If it is None, the definition cannot call functions of executors.
    """
    findings = Findings(document)
    try:
        occurrences = check_structure(document, findings)
        check_references(occurrences, findings, functions)
        check_flow(occurrences, findings)
        check_case_flow(occurrences, findings)
        check_catching(occurrences, findings)
        check_concurrency(occurrences, findings)
        check_calls(occurrences, findings)
        check_events(occurrences, findings)
        check_grpc(occurrences, findings)
        check_extensions(occurrences, findings)
        check_values(occurrences, findings)
        check_execution_tags(findings)
        check_mask(findings)
        check_schedule(findings)
        check_sub_workflows(occurrences, findings, workflows)
        check_expressions(occurrences, findings, expression_problems)
    except TooManyProblems:
        pass
    return findings.in_order()


def parse_definition(
    text: str | bytes,
    *,
    name: str = "the definition",
    expression_problems: ExpressionProblems | None = None,
) -> Document:
    """Loads and checks a definition. Warnings are ignored.

    Raises:
        DefinitionInvalid: the definition has errors; the exception holds all of them.
    """
    document = load(text, name=name)
    require_valid(document, expression_problems=expression_problems)
    return document


def require_valid(
    document: Document,
    *,
    expression_problems: ExpressionProblems | None = None,
    functions: Collection[str] | None = (),
) -> None:
    """Checks a document. Warnings are ignored. `functions` is as for `check`.

    Raises:
        DefinitionInvalid: the definition has errors; the exception holds all of them.
    """
    problems = check(document, expression_problems=expression_problems, functions=functions)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise DefinitionInvalid(errors, document.name)
