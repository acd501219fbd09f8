"""Workflows from short definitions."""

import textwrap
from collections.abc import Callable

import pytest

from unspool.testing import Workflow


@pytest.fixture
def workflow() -> Callable[..., Workflow]:
    """Makes a workflow from its tasks (`do: …` and other top-level members)."""

    def make(definition: str, name: str = "test") -> Workflow:
        document = f"document: {{dsl: '1.0.3', namespace: test, name: {name}, version: '1.0.0'}}\n"
        return Workflow.from_text(document + textwrap.dedent(definition))

    return make
