"""The verdict of the soak: whether the store keeps something of executions that were deleted."""

import pytest
from benchmarks.soak import Size, is_flat


@pytest.mark.parametrize(("after", "flat"), [(1.6, True), (3.0, True), (3.1, False), (0.5, True)])
def test_a_store_is_flat_if_little_is_left(after, flat):
    assert is_flat(Size(1.0, 1.0, ""), Size(50.0, after, "")) is flat
