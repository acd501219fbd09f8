"""Differences between JSON values."""

from hypothesis import given
from hypothesis import strategies as st

from unspool.cli.difference import ABSENT, Change, changes
from unspool.definitions.json_pointer import parts

values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a/b", "~"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b/c", "~"]), inner),
    max_leaves=10,
)


def test_additions_removals_and_changes_have_pointers():
    before = {"same": 1, "gone": 2, "deep": {"a/b": [1]}}
    after = {"same": 1, "deep": {"a/b": [1, 2]}, "new": None}
    assert changes(before, after) == [
        Change("/gone", 2, ABSENT),
        Change("/deep/a~1b", [1], [1, 2]),
        Change("/new", ABSENT, None),
    ]


def test_true_is_not_one():
    assert changes({"a": True}, {"a": 1}) == [Change("/a", True, 1)]


@given(values, values)
def test_applying_the_changes_gives_the_other_value(before, after):
    value = before
    for change in changes(before, after):
        value = applied(value, parts(change.pointer), change.after)
    assert value == after


def applied(value, steps, after):
    if not steps:
        return after
    copy = dict(value)
    inner = applied(copy.get(steps[0]), steps[1:], after)
    if inner is ABSENT:
        del copy[steps[0]]
    else:
        copy[steps[0]] = inner
    return copy
