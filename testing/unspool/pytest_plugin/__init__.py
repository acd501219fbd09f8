"""The plugin for pytest: the fixture `unspool_workflow`.

Pytest loads it in each environment that has Unspool, so it imports the engine with the first use of the
fixture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from unspool.testing import Workflow


@pytest.fixture
def unspool_workflow(request: pytest.FixtureRequest) -> Callable[[str], Workflow]:
    """Returns a function that reads a definition; its path is relative to the folder of the test."""
    from unspool.testing import Workflow  # noqa: PLC0415 - see above

    return lambda path: Workflow.from_file(request.path.parent / path)
