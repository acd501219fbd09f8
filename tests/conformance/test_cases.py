"""Every case, in memory and on every store (`cases/`)."""

import pytest
from tests.conformance.case import CASES, Case
from tests.conformance.memory import MemoryEngine
from tests.conformance.outcome import differences
from tests.conformance.services import ServicesEngine
from tests.conformance.stand_in import standing_in

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_case(case: Case, engine: MemoryEngine | ServicesEngine) -> None:
    async with standing_in(case) as (running, stand_in):
        outcome = await engine.run(running)
    found = [*differences(running, outcome), *stand_in.problems()]
    assert not found, "\n".join(found)
