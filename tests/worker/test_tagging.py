"""Tags that definitions make from the context of their executions."""

import asyncio
from functools import partial

import pytest
from tests.worker.test_service import TENANT, working
from tests.worker.world import PENDING

from unspool.definitions.checks import parse_definition
from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import source_problems
from unspool.definitions.problems import DefinitionInvalid
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import Definition, ExecutionKey, MessageKind, Start, WorkflowRef
from unspool.worker.interpreter.snapshot import dump_state, load_state
from unspool.worker.replay import verify

HEAD = (
    "document: {dsl: '1.0.3', namespace: test, name: test, version: '1.0.0',"
    " metadata: {unspool: {tags: %s}}}\n"
)


@pytest.fixture
def tagged(world):
    """Makes a world for a definition with tags."""

    def make(tags, tasks, answer=lambda _: PENDING):
        run = world("do: []", answer)
        run.plan = compile_plan(load(HEAD % tags + tasks).value, run.jq)
        return run

    return make


def changes(run):
    """Returns the tags and the refused values of each change."""
    return [(event.data["tags"], event.data.get("refused")) for event in run.of("workflow.tagged")]


def test_tags_follow_the_context(tagged):
    run = tagged(
        "{order: '${ $workflow.input.id }', stage: '${ .stage }', note: 'n-${ .stage }'}",
        """
do:
  - a: {set: {stage: new}, export: {as: .}}
  - b: {set: {stage: sent}, export: {as: '${ {stage: .stage} }'}}
  - c: {set: {x: 1}, export: {as: $context}}
  - d: {set: {x: 1}, export: {as: '${ {} }'}}
""",
    ).start({"id": "A-1"})

    assert changes(run) == [
        ({"order": "A-1", "note": "n-null"}, None),
        ({"order": "A-1", "stage": "new", "note": "n-new"}, None),
        ({"order": "A-1", "stage": "sent", "note": "n-sent"}, None),
        ({"order": "A-1", "note": "n-null"}, None),
    ]
    assert run.output == {"x": 1}
    assert run.history[-1].type == "workflow.completed"
    assert load_state(dump_state(run.state)) == run.state


def test_tags_of_the_start_stay(tagged):
    run = tagged("{stage: '${ .stage }'}", "do: [{a: {set: {stage: 7}, export: {as: .}}}]")
    run.send(MessageKind.START, input={}, tags={"order": "A-1", "stage": "begun"})

    assert [tags for tags, _ in changes(run)] == [{"order": "A-1"}, {"order": "A-1", "stage": "7"}]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("${ .x | tonumber }", ""),
        ("${ {a: 1} }", "must be a text"),
        ("${ [range(300)] | map(\"x\") | join(\"\") }", "1 to 256"),
        ("${ \"a\\nb\" }", "line breaks"),
        ("${ \"\" }", "1 to 256"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_a_tag_changes_nothing(tagged, value, said):
    value = value.replace("'", "''")
    run = tagged(f"{{good: '${{ .n }}', bad: '{value}'}}", "do: [{a: {set: {n: 1}, export: {as: .}}}]").start(
        {}
    )

    [(tags, refused)] = changes(run)

    assert tags == {"good": "1"}
    assert said in refused["bad"]
    assert run.output == {"n": 1}


def test_an_execution_has_a_limited_number_of_tags(tagged):
    run = tagged("{a: x, b: y}", "do: [{a: {set: {}}}]")
    run.send(MessageKind.START, input={}, tags={f"t{n}": "x" for n in range(15)})

    [(tags, refused)] = changes(run)

    assert (len(tags), tags["a"], list(refused)) == (16, "x", ["b"])


def test_tags_change_with_events_and_extensions(tagged):
    run = tagged(
        "{last: '${ .last }'}",
        """
use: {extensions: [{e: {extend: call, after: [{z: {set: {}}}]}}]}
do:
  - l:
      listen: {to: {any: [{with: {type: t}}], until: '${ length > 1 }'}}
      foreach: {export: {as: '${ {last: .} }'}}
  - c: {call: http, with: {method: get, endpoint: http://h}, export: {as: '${ {last: "called"} }'}}
""",
        lambda _: {},
    ).start({})
    for number in range(2):
        event = {"specversion": "1.0", "id": f"{number}", "source": "/s", "type": "t", "data": number}
        run.send(MessageKind.EVENT, run="1", event=event)

    assert [tags["last"] for tags, _ in changes(run)] == ["0", "1", "called"]
    assert run.output == {}


def test_a_definition_that_was_stored_before_tags_had_a_meaning_runs(tagged):
    for tags in ("[1]", "7", "{a: 1, b: [x], 'no good': x}"):
        run = tagged(tags, "do: [{a: {set: {x: 1}}}]").start({})
        assert run.output == {"x": 1}
        assert run.types("workflow.tagged") == []


async def test_executions_are_found_by_the_tags_of_their_definitions(store, jq):
    ref = WorkflowRef("test", "test", "1.0.0")
    text = HEAD % "{order: '${ $workflow.input.id }', stage: '${ .stage }'}" + (
        "do: [{a: {set: {stage: paid}, export: {as: .}}}, {b: {wait: {hours: 1}}}]"
    )
    await store.put_definition(TENANT, Definition(ref, text, 0))
    key = ExecutionKey(TENANT, "one")
    await store.start(Start(key, ref, {"id": "A-1"}, 1, tags={"stage": "new", "by": "test"}))
    assert await found(store, stage="new") == ["one"]

    async with working(store, jq), asyncio.timeout(60):
        while not await found(store, stage="paid"):
            await store.wait_for_version(key, 0, 1)

    assert await found(store, stage="new") == []
    assert await found(store, order="A-1", by="test") == ["one"]
    record = await store.execution(key)
    assert record.tags == {"stage": "paid", "by": "test", "order": "A-1"}
    assert verify(compile_plan(load(text).value, jq), "one", await store.history(key)) is None


async def found(store, **tags):
    page = await store.executions(TENANT, ExecutionFilter(tags=tags))
    return [record.key.id for record in page.items]


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ("{'a b': x}", "a b"),
        ("{a: 7}", "tags/a"),
        ("{a: ''}", "tags/a"),
        ("{a: '${ $secrets.x }'}", "secret"),
        ("{a: '${ $task.name }'}", "$task"),
        ("{a: '${ .x | }'}", "tags/a"),
        (f"{{{', '.join(f't{n}: x' for n in range(17))}}}", "16"),
    ],
)
def test_tags_are_checked(jq, tags, said):
    with pytest.raises(DefinitionInvalid) as caught:
        parse_definition(
            HEAD % tags + "do: [{a: {set: {x: 1}}}]", expression_problems=partial(source_problems, jq=jq)
        )

    assert any(said in str(problem) for problem in caught.value.problems), caught.value.problems
