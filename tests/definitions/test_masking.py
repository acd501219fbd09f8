"""The mask of a definition: which values its pointers hide."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.definitions.checks import parse_definition
from unspool.definitions.masking import MASKED, Mask, mask_of
from unspool.definitions.problems import DefinitionInvalid

HEAD = (
    "document: {dsl: '1.0.3', namespace: test, name: test, version: '1.0.0',"
    " metadata: {unspool: {mask: %s}}}\ndo: [{a: {set: {x: 1}}}]\n"
)


def mask(*pointers):
    return mask_of({"document": {"metadata": {"unspool": {"mask": [*pointers]}}}})


@pytest.mark.parametrize(
    ("pointer", "value", "shown"),
    [
        ("/card/number", {"card": {"number": 1, "name": "x"}}, {"card": {"number": MASKED, "name": "x"}}),
        ("/card/number", {"body": [{"card": {"number": 1}}]}, {"body": [{"card": {"number": MASKED}}]}),
        ("/card/number", {"card": {"old": {"number": 1}}}, {"card": {"old": {"number": 1}}}),
        ("/pin", [{"pin": [1, 2]}, {"a": {"pin": None}}], [{"pin": MASKED}, {"a": {"pin": MASKED}}]),
        ("/in/pin", {"in": {"pin": 1}, "out": {"pin": 2}}, {"in": {"pin": MASKED}, "out": {"pin": 2}}),
        ("/cards/*/pin", {"cards": [{"pin": 1}, {"pin": 2}]}, {"cards": [{"pin": MASKED}, {"pin": MASKED}]}),
        ("/cards/*", {"cards": [1, {"x": 2}]}, {"cards": [MASKED, MASKED]}),
        ("/cards/1", {"cards": [1, 2]}, {"cards": [1, MASKED]}),
        ("/a~1b/~0", {"a/b": {"~": 1}}, {"a/b": {"~": MASKED}}),
        ("/x/x/y", {"x": {"x": {"x": {"y": 1}}}}, {"x": {"x": {"x": {"y": MASKED}}}}),
        ("/card", "card", "card"),
    ],
)  # fmt: skip
def test_a_pointer_hides_what_a_path_ends_with(pointer, value, shown):
    before = repr(value)
    assert mask(pointer).applied(value) == shown
    assert repr(value) == before


def test_what_is_not_hidden_is_shared():
    value = {"card": {"pin": 1}, "rest": {"a": [1]}}
    shown = mask("/pin").applied(value)
    assert shown["rest"] is value["rest"]
    assert mask("/none").applied(value) is value
    assert not Mask()


def test_hidden_texts_are_found_in_other_texts():
    hidden = mask("/card").hidden({"card": {"number": 12345, "pin": 12, "name": "Ada Lovelace", "ok": True}})
    assert hidden == ["Ada Lovelace", "12345"]  # the longest first; two digits would be found anywhere


JSON = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc*"), inner, max_size=3),
    max_leaves=20,
)


@given(JSON, st.lists(st.sampled_from("abc*0"), min_size=1, max_size=3))
def test_exactly_the_paths_that_match_are_hidden(value, segments):
    def hide(part, path):
        ends = path[-len(segments) :]
        if len(ends) == len(segments) and all(s in (p, "*") for s, p in zip(segments, ends, strict=True)):
            return MASKED
        if isinstance(part, dict):
            return {name: hide(child, (*path, name)) for name, child in part.items()}
        if isinstance(part, list):
            return [hide(child, (*path, str(at))) for at, child in enumerate(part)]
        return part

    assert Mask((tuple(segments),)).applied(value) == hide(value, ())


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("[card]", "a pointer begins with '/'"),
        ("[/]", "a pointer begins with '/'"),
        ("[1]", "a pointer begins with '/'"),
        ("['/a~2']", "'~' is followed by 0 or 1"),
        ("['/*/*']", "would hide everything"),
        ("/card", "a mask is a list of JSON pointers"),
        (str([f"/a{n}" for n in range(101)]), "at most 100 pointers"),
    ],
)
def test_a_mask_that_is_not_valid(written, message):
    with pytest.raises(DefinitionInvalid) as caught:
        parse_definition(HEAD % written)
    [problem] = caught.value.problems
    assert message in problem.message
    assert problem.pointer.startswith("/document/metadata/unspool/mask")


def test_a_stored_definition_may_have_anything_there():
    assert not mask("no pointer", 1)
    assert not mask_of({"document": {"metadata": {"unspool": {"mask": "/a"}}}})
    assert not mask_of({"document": 1})
