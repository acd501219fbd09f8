from collections.abc import Iterator

import pytest

from unspool.definitions.expressions import ExpressionCompiler, JqPool


@pytest.fixture(scope="session")
def jq() -> Iterator[JqPool]:
    with JqPool() as pool:
        yield pool


@pytest.fixture
def compiler(jq: JqPool) -> ExpressionCompiler:
    return ExpressionCompiler(jq=jq)
