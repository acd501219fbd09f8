"""The values of a task's progress that are sent."""

import pytest

from unspool.executor.progress import INTERVAL_SECONDS, MAX_BYTES, Progress


def test_values_are_sent_with_pauses_and_only_if_they_change():
    progress = Progress()
    assert not progress.is_due(0)
    progress.report(1)
    assert progress.is_due(0)
    assert progress.sending(0) == 1
    progress.report(2)
    assert not progress.is_due(INTERVAL_SECONDS - 1)
    assert progress.is_due(INTERVAL_SECONDS)
    progress.report(1)
    assert not progress.is_due(INTERVAL_SECONDS)


@pytest.mark.parametrize(("value", "error"), [("x" * MAX_BYTES, ValueError), (object(), TypeError)])
def test_a_value_that_cannot_be_sent_is_refused(value, error):
    progress = Progress()
    progress.report(1)
    with pytest.raises(error):
        progress.report(value)
    assert progress.value == 1
