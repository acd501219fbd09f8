"""`document.metadata.unspool.idempotencyKey`: its checks, and the keys that it makes."""

import json
import time
from functools import partial

import pytest

from unspool.definitions.checks import check
from unspool.definitions.document import load
from unspool.definitions.expressions import source_problems
from unspool.definitions.idempotency import MAX_CHARACTERS, POINTER, KeyInvalid, Reuse, key_rule_of
from unspool.definitions.problems import Severity

DEFINITION = """\
document:
  dsl: '1.0.3'
  namespace: test
  name: w
  version: '1.0.0'
  metadata:
    unspool:
      %s
do: []
"""


def with_settings(settings: str) -> str:
    return DEFINITION % settings.replace("\n", "\n      ")


def problems(settings: str, jq) -> list[tuple[str, int, int, str]]:
    found = check(load(with_settings(settings)), expression_problems=partial(source_problems, jq=jq))
    return [(each.pointer, each.line, each.column, each.message) for each in found]


def key_of(written: str, input_, jq) -> str:
    rule = key_rule_of(with_settings(f"idempotencyKey: {written}"), jq)
    assert rule is not None
    return rule.key_of(input_)


@pytest.mark.parametrize(
    "settings",
    [
        "idempotencyKey: '${ \"sync:\\(.orgId):\\(.kind)\" }'",
        "idempotencyKey: sync-${ .orgId }-${ .kind }\nreuse: never",
        "idempotencyKey: only-one\nreuse: ended",
        "idempotencyKey: ${ .id }\nother: {of: [anyone]}",
    ],
)
def test_valid_settings(settings, jq):
    assert problems(settings, jq) == []


@pytest.mark.parametrize(
    ("written", "column", "says"),
    [
        ("${ .a + $workflow.id }", 31, "$workflow is not defined here"),
        ("x-${ .a + $typo }", 33, "$typo is not defined here"),
        ("${ .a | nosuch }", None, "nosuch/0 is not defined"),
        ("${ .a + }", None, "unexpected end of file"),
        ("${ .a + now }", 31, "'now' cannot be used here: an idempotency key depends on the input only"),
        ("${ $secrets.x }", 26, "no secret 'x' in use.secrets"),
    ],
)
def test_wrong_expressions_have_a_position(written, column, says, jq):
    [(pointer, line, at, message)] = problems(f"idempotencyKey: {written}", jq)
    assert (pointer, line) == (POINTER, 8)
    assert says in message
    assert column in (None, at)


@pytest.mark.parametrize(
    ("settings", "pointer", "says"),
    [
        ("idempotencyKey: 7", POINTER, "text"),
        ("idempotencyKey: ''", POINTER, "empty"),
        ("idempotencyKey: .orgId", POINTER, "'.orgId' is plain text here"),
        (r"""idempotencyKey: '"sync:\(.orgId)"'""", POINTER, "is plain text here"),
        ("idempotencyKey: a\nreuse: always", POINTER.replace("idempotencyKey", "reuse"), "never"),
        ("reuse: ended", POINTER.replace("idempotencyKey", "reuse"), "idempotencyKey"),
    ],
)
def test_wrong_settings(settings, pointer, says, jq):
    [(found, _, _, message)] = problems(settings, jq)
    assert found in (pointer, pointer.rpartition("/")[0])
    assert says in message


@pytest.mark.parametrize(
    ("written", "input_", "key"),
    [
        ("${ .id }", {"id": "é:/ "}, "é:/ "),
        ("${ .id }", {"id": 7}, "7"),
        ("${ .id }", {"id": 12345678901234567890}, "12345678901234567890"),
        ("${ .id }", {"id": 1.5}, "1.5"),
        ("order-${ .id }-${ .kind }", {"id": 7, "kind": "a"}, "order-7-a"),
        ("only-one", None, "only-one"),
        ('${ .id | ltrimstr("a") | test("^b") | tostring }', {"id": "ab"}, "true"),
    ],
)
def test_keys(written, input_, key, jq):
    assert key_of(f"'{written}'", input_, jq) == key


@pytest.mark.parametrize(
    ("written", "input_", "says"),
    [
        ("${ .id }", {}, "null"),
        ("${ .id }", {"id": True}, "a boolean"),
        ("${ .id }", {"id": {}}, "an object"),
        ("${ .id }", {"id": []}, "an array"),
        ("${ nan }", {}, "null"),
        ("${ .id }", {"id": ""}, "empty"),
        ("${ .id }", {"id": "x" * (MAX_CHARACTERS + 1)}, f"at most {MAX_CHARACTERS}"),
        ("${ .id }", 7, "cannot index number"),
        ("${ empty }", {}, "null"),
        ("${ def f: f; f }", {}, "limit exceeded"),
        ("${ [range(1e9)] | length }", {}, "limit exceeded"),
        ("${ .a + }", {}, "unexpected end of file"),
    ],
)
def test_inputs_without_a_key(written, input_, says, jq):
    begun = time.monotonic()
    with pytest.raises(KeyInvalid, match="(?i)" + says):
        key_of(f"'{written}'", input_, jq)
    assert time.monotonic() - begun < 60


def test_the_longest_key(jq):
    assert key_of("${ .id }", {"id": "x" * MAX_CHARACTERS}, jq) == "x" * MAX_CHARACTERS


def test_rules(jq):
    reuse = {
        "idempotencyKey: a": Reuse.NEVER,
        "idempotencyKey: a\nreuse: never": Reuse.NEVER,
        "idempotencyKey: a\nreuse: ended": Reuse.ENDED,
        "idempotencyKey: a\nreuse: 7": Reuse.NEVER,
    }
    for settings, expected in reuse.items():
        assert key_rule_of(with_settings(settings), jq).reuse is expected
    for settings in ("other: 1", "idempotencyKey: 7", "idempotencyKey: {a: b}"):
        assert key_rule_of(with_settings(settings), jq) is None


def test_a_failing_expression_gives_no_key_in_loose_mode(jq):
    rule = key_rule_of(with_settings("idempotencyKey: '${ .a | error }'") + "evaluate: {mode: loose}\n", jq)
    with pytest.raises(KeyInvalid):
        rule.key_of({"a": "x"})


@pytest.mark.parametrize(
    ("key", "schedule", "warns"),
    [
        ("only-one", "{every: PT1H}", False),
        ("${ .orderId }", "{every: PT1H, on: {one: {with: {type: t}}}}", True),
        ("${ .[0].orderId }", "{on: {one: {with: {type: t}}}}", False),
        ('${ .a | ltrimstr("x") | test("y") }', "{cron: '@daily'}", False),
        ("${ .a + }", "{after: PT1H}", False),
    ],
)
def test_times_whose_input_has_no_key(key: str, schedule: str, warns: bool) -> None:
    document = load(with_settings(f"idempotencyKey: {json.dumps(key)}") + f"schedule: {schedule}\n")
    found = [each.message for each in check(document) if each.severity is Severity.WARNING]
    assert [each.startswith(("'every' starts nothing", "'after' starts nothing")) for each in found] == (
        [True] if warns else []
    )
