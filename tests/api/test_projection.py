"""Times in the JSON of the API."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.eventstore.clock import rfc3339


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_rfc_3339_with_milliseconds(milliseconds, text):
    assert rfc3339(milliseconds) == text


@given(st.integers(0, 253_402_300_799_999), st.integers(0, 253_402_300_799_999))
def test_times_sort_as_their_texts_do(one, other):
    assert (rfc3339(one) < rfc3339(other)) == (one < other)
