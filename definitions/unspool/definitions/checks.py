"""All checks of a workflow definition, in one place."""

from unspool.definitions.document import Document, load
from unspool.definitions.findings import Enough, Findings
from unspool.definitions.problems import DefinitionInvalid, Problem, Severity
from unspool.definitions.schema import check_structure
from unspool.definitions.semantics import (
    ExpressionProblem,
    check_expressions,
    check_flow,
    check_references,
    check_values,
)


def check(document: Document, *, expression_problem: ExpressionProblem | None = None) -> tuple[Problem, ...]:
    """Everything that is wrong with a definition, errors and warnings, in the order of the text.

    Args:
        document: what `load` gave.
        expression_problem: says what is wrong with the source of an expression (without `${ }`), or None.
            Without it the syntax of expressions is not checked.
    """
    findings = Findings(document)
    try:
        occurrences = check_structure(document, findings)
        check_references(occurrences, findings)
        check_flow(occurrences, findings)
        check_values(occurrences, findings)
        check_expressions(occurrences, findings, expression_problem)
    except Enough:
        pass
    return findings.in_order()


def parse_definition(
    text: str | bytes,
    *,
    name: str = "the definition",
    expression_problem: ExpressionProblem | None = None,
) -> Document:
    """Loads and checks a definition; warnings do not refuse it.

    Raises:
        DefinitionInvalid: with every error that was found.
    """
    document = load(text, name=name)
    problems = check(document, expression_problem=expression_problem)
    errors = [problem for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise DefinitionInvalid(errors, name)
    return document
