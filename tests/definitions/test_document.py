"""Loading: YAML 1.2 and JSON, positions, hostile texts."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from unspool.definitions.document import Document, load
from unspool.definitions.problems import MAX_PROBLEMS, DefinitionInvalid, Problem
from unspool.definitions.yaml_core import MAX_DEPTH


def problems_of(text: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(DefinitionInvalid) as caught:
        load(text)
    return caught.value.problems


def only_problem(text: str | bytes) -> Problem:
    (problem,) = problems_of(text)
    return problem


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("2024-07-26", "2024-07-26"),
        ("11:12:00", "11:12:00"),
        ("1_000", "1_000"),
        ("1.0.3", "1.0.3"),
        ("010", 10),
        ("0o17", 15),
        ("0xff", 255),
        ("+1", 1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-0", 0),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ("!!str 1", "1"),
        ("!!int '3'", 3),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_plain_scalars_have_the_values_of_the_core_schema(written: str, value: object) -> None:
    """Inventory A10."""
    loaded = load(f"a: {written}").value["a"]
    assert loaded == value
    assert type(loaded) is type(value)


def test_the_key_on_stays_text() -> None:
    assert load("schedule: {on: {one: {}}}\nyes: 1").value == {"schedule": {"on": {"one": {}}}, "yes": 1}


def test_json_is_read_by_its_own_rules() -> None:
    long_key = "k" * 3000
    text = json.dumps({"pair": "\U0001f600", long_key: [1.5, None, True]}) + "\n"
    assert "\\ud83d" in text
    assert load(text).value == {"pair": "\U0001f600", long_key: [1.5, None, True]}


def test_json_of_a_megabyte_is_read() -> None:
    value = {"do": [{f"t{i}": {"set": {"x": i}}} for i in range(25_000)]}
    assert load(json.dumps(value)).value == value


@pytest.mark.parametrize(
    "text", ["a:\n  b:\n    - 1\n    - c: x\n", '{"a":\n  {"b":\n    [1,\n     {"c": "x"}]}}']
)
def test_positions_of_keys_and_values(text: str) -> None:
    document = load(text)
    lines = text.split("\n")
    value, key = document.position("/a/b/1/c"), document.key_position("/a/b/1/c")
    assert value.line == key.line == 4
    assert lines[3][value.column - 1 :].lstrip('"').startswith("x")
    assert lines[3][key.column - 1 :].lstrip('"').startswith("c")


def test_positions_count_characters_and_escape_pointers() -> None:
    document = load("{'ä€😀': 1, 'a/b~c': 2}")
    assert document.key_position("/a~1b~0c") == (1, 12)
    assert document.position("/a~1b~0c") == (1, 21)


def test_a_missing_value_has_the_position_of_the_nearest_value_around_it() -> None:
    document = load("a: 1\nb:\n  c: []\n")
    assert document.position("/b/c/5/x") == document.position("/b/c") == (3, 6)
    assert document.position("/b/c/x") == (3, 6)


def test_a_document_is_its_text_value_and_name() -> None:
    document = load(b"\xef\xbb\xbfa: 1", name="w.yaml")
    assert (document.text, document.value, document.name) == ("a: 1", {"a": 1}, "w.yaml")
    assert isinstance(document, Document)


def test_duplicate_keys_name_both_lines_and_all_are_found() -> None:
    first, second = problems_of("a: 1\nb: {c: 1,\n  c: 2}\na: 3\n")
    assert (first.pointer, first.line, first.column) == ("/b", 3, 3)
    assert first.message == "duplicate key 'c', first on line 2"
    assert (second.line, second.message) == (4, "duplicate key 'a', first on line 1")
    assert only_problem('{"a": 1,\n "a": 2}').message == "duplicate key 'a', first on line 1"


def test_small_aliases_are_expanded() -> None:
    document = load("a: &x [1, 2]\nb: *x\nc: &y text\nd: *y\n")
    assert document.value == {"a": [1, 2], "b": [1, 2], "c": "text", "d": "text"}
    assert document.position("/b") == (2, 4)


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)
LONG_TEXTS = f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 1000)}]\n"
DEEP_BY_ALIASES = "a0: &a0 [[[[[[[[[[x]]]]]]]]]]\n" + "".join(
    f"a{i}: &a{i} [[[[[[[[[[*a{i - 1}]]]]]]]]]]\n" for i in range(1, 40)
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB, "the aliases of this document expand to more than 1 MiB"),
        (LONG_TEXTS, "the aliases of this document expand to more than 1 MiB"),
        (DEEP_BY_ALIASES, "nested more than 100 levels deep"),
        ("a: &a [*a]", "the alias *a contains itself"),
        ("a: *b", "the alias *b has no anchor"),
        ("x: &x k\n*x : 1", "an alias cannot be a key"),
        ("y:\n  <<: 1\n", "'<<' merges a mapping, or a list of mappings"),
        ("x: &m {a: 1}\ny:\n  <<: [*m, 2]\n", "'<<' merges a mapping, or a list of mappings"),
        ("a: 1\n---\nb: 2", "a second document begins here; a file holds only one"),
        ("", "the document is empty"),
        ("# nothing\n", "the document is empty"),
        ("~", "a workflow is a mapping; it begins with 'document:'"),
        ("- 1", "a workflow is a mapping; it begins with 'document:'"),
        ("~: x", "the key '~' is not text; write it in quotes"),
        ("? [a]\n: b", "a key must be text, not a collection"),
        ("a: !mine x", "the tag !mine is not allowed: values are those of JSON"),
        ("a: !!binary aGk=", "the tag !!binary is not allowed: values are those of JSON"),
        (
            "a: !!python/object/apply:os.system [x]",
            "the tag !!python/object/apply:os.system is not allowed: values are those of JSON",
        ),
        ("a: !!int x", "this is not a value of !!int"),
        ('a: "\\0"', "a NUL character is not allowed in text"),
        ('{"a": "\\ud800"}', "half of a surrogate pair is not a character"),
        ("a: \ud800", "half of a surrogate pair at character 4"),
        ("a: .nan", ".nan is not a JSON value"),
        ("a: -.INF", "-.INF is not a JSON value"),
        ('{"a": NaN}', ".nan is not a JSON value"),
        ("a: 1e400", "this number is too large; write it in quotes to keep it as text"),
        (
            "a: 9223372036854775808",
            "this integer does not fit 64 bits; write it in quotes to keep it as text",
        ),
        ("a: " + "9" * 5000, "this integer does not fit 64 bits; write it in quotes to keep it as text"),
        (
            '{"a": ' + "9" * 5000 + "}",
            "this integer does not fit 64 bits; write it in quotes to keep it as text",
        ),
        ("k" * 1000 + ": 1\n" + '? "' + "k" * 5000 + '"\n: 1', "a key is longer than 4096 characters"),
        (b"a: \xe9x", "the text is not UTF-8: invalid continuation byte at byte 4"),
        ("a: 1".encode("utf-16"), "the text is not UTF-8: invalid start byte at byte 1"),
        ("a: " + "x" * 1024 * 1024, "the document is larger than 1048576 bytes"),
        ("a: " + "é" * 600_000, "the document is larger than 1048576 bytes"),
    ],
)
def test_an_invalid_text_is_rejected_with_its_cause(text: str | bytes, says: str) -> None:
    assert only_problem(text).message == says


@pytest.mark.parametrize(
    "text", ["a: [", "\t- x", "a: 'x", "a: b: c", "a: \x07", "a: \x00", "%YAML 9", "a: @x"]
)
def test_a_syntax_error_has_a_position(text: str) -> None:
    problem = only_problem(text)
    assert problem.message.startswith("not YAML: ")
    assert problem.line >= 1


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("a:\n\t- x", (2, 1), "a tab; indent with spaces"),
        ("a: |\n\tx\n", (2, 1), "a tab; indent with spaces"),
        ("a: 'x\nb: 1\n", (3, 1), "a quote is not closed, opened on line 1"),
        (
            "a: b: c",
            (1, 5),
            "': ' inside a plain text; put the text in quotes, or correct the indentation",
        ),
        ("é: @x", (1, 4), "a plain text cannot begin with '@'; put it in quotes"),
        ("a: [1\nb: 3\n", (2, 2), "a ',' is missing, or the '[' of line 1 is not closed"),
        ("a: {b: 1\nc: 2\n", (2, 2), "a ',' is missing, or the '{' of line 1 is not closed"),
        (
            "a:\n  b: 1\n c: 2\n",
            (3, 2),
            "this does not continue the mapping of line 1; correct the indentation, or put text in quotes",
        ),
        (
            "a: { x: ${ .y } }",
            (1, 10),
            "an expression between { } or [ ] must be in quotes: '${ … }'",
        ),
        ("a: [${ .y }]", (1, 6), "an expression between { } or [ ] must be in quotes: '${ … }'"),
        ("x: - a", (1, 4), "a list item is not allowed here; begin it on a new line"),
    ],
)
def test_a_syntax_error_says_what_to_write(text: str, place: tuple[int, int], says: str) -> None:
    problem = only_problem(text)
    assert (problem.line, problem.column) == place
    assert problem.message == f"not YAML: {says}"


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", '{"a":', "? "])
def test_the_depth_is_limited_and_cannot_exhaust_the_stack(opening: str) -> None:
    message = only_problem(("a: " if opening == "[" else "") + opening * 100_000).message
    assert message in {f"nested more than {MAX_DEPTH} levels deep", "a key must be text, not a collection"}


def test_a_key_that_is_a_number_or_a_boolean_is_its_text() -> None:
    document = load("ports: {8880: 80, 0x1F: 1, 1.50: 2}\ntrue: yes\n!!int 7: seven\n")
    assert document.value == {
        "ports": {"8880": 80, "0x1F": 1, "1.50": 2},
        "true": "yes",
        "7": "seven",
    }
    assert document.position("/ports/8880") == (1, 15)
    assert only_problem('1: a\n"1": b').message == "duplicate key '1', first on line 1"


def test_merge_keys_are_merged() -> None:
    text = """
base: &base {a: 1, b: {c: 2}}
other: &other {a: 9, d: 4}
one: {b: 5, <<: *base}
list: {<<: [*other, *base]}
nested: &nested {<<: *base, e: 6}
again: {<<: *nested, <<: *other}
"<<": text
"""
    value = load(text).value
    assert value["one"] == {"a": 1, "b": 5}
    assert value["list"] == {"a": 9, "d": 4, "b": {"c": 2}}
    assert value["again"] == {"e": 6, "a": 1, "b": {"c": 2}, "d": 4}
    assert value["<<"] == "text"
    assert load(text).position("/one/a") == (2, 17)


def test_merged_members_count_as_aliases_do() -> None:
    lines = ["a0: &a0 {" + ", ".join(f"k{number}: x" for number in range(50)) + "}"]
    lines += [f"a{n}: &a{n} {{m{n}: *a{n - 1}, <<: *a{n - 1}}}" for n in range(1, 40)]
    assert only_problem("\n".join(lines)).message == "the aliases of this document expand to more than 1 MiB"


def test_a_hundred_levels_are_accepted() -> None:
    text = '{"a":' * (MAX_DEPTH - 1) + "[]" + "}" * (MAX_DEPTH - 1)
    assert load(text).value == json.loads(text)


def test_the_number_of_problems_is_limited() -> None:
    assert len(problems_of("".join(f"k{i}: !t x\n" for i in range(5000)))) == MAX_PROBLEMS


def test_the_error_names_file_line_and_column() -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        load("a: 1\na: 2\n", name="w.yaml")
    assert str(caught.value) == "w.yaml:2:1: duplicate key 'a', first on line 1 (/)"


def test_the_work_is_proportional_to_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in events: aliases add no events, and reading stops at the first fatal error."""
    from unspool.definitions import yaml_core

    seen = 0

    def counted(text: str) -> Iterator[object]:
        nonlocal seen
        for event in original(text):
            seen += 1
            yield event

    original = yaml_core.events
    monkeypatch.setattr(yaml_core, "events", counted)
    problems_of(BOMB)
    assert seen < 200
    seen = 0
    problems_of("a: " + "[" * 1_000_000)
    assert seen <= MAX_DEPTH + 5


def test_every_example_of_the_specification_loads(request: pytest.FixtureRequest) -> None:
    examples: Path = request.config.rootpath.parent / "shared" / "spec" / "examples"
    if not examples.is_dir():
        pytest.skip(f"the specification's examples are not at {examples}")
    for file in examples.glob("*.yaml"):
        assert load(file.read_bytes()).value["document"]["dsl"].startswith("1.0.")
