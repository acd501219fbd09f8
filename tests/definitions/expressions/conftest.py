import pytest

from unspool.definitions.expressions import ExpressionCompiler, JqPool


@pytest.fixture
def compiler(jq: JqPool) -> ExpressionCompiler:
    return ExpressionCompiler(jq=jq)
