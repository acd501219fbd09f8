"""The verdict of the soak: whether the store grew after it had filled once."""

import pytest
from benchmarks.soak import Size, growth


@pytest.mark.parametrize(
    ("megabytes", "grown"),
    [
        ([1, 5, 9, 10, 10, 10, 10, 10], 10 / 9.5),
        ([1, 2, 3, 4, 5, 6, 7, 8], 7.5 / 3.5),
        ([4], 1.0),
        ([8, 4, 4, 4], 1.0),
    ],
)
def test_growth_compares_the_last_quarter_with_the_second(megabytes, grown):
    assert growth([Size(each, "") for each in megabytes]) == pytest.approx(grown)
