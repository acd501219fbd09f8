"""The pictures in the documentation are what the program draws now."""

from pathlib import Path

import pytest

from unspool.definitions.compile import plan_of
from unspool.definitions.expressions import JqPool
from unspool.diagram.layout.workflow import layout
from unspool.diagram.svg import svg

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["order-fulfilment"])
def test_a_picture_is_current(name):
    """`make images` draws them again."""
    jq = JqPool(1)
    try:
        plan = plan_of((ROOT / f"examples/{name}.yaml").read_text(), jq)
    finally:
        jq.close()
    assert (ROOT / f"docs/images/{name}.svg").read_text() == svg(layout(plan))
