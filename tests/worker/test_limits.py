"""Limits of data: the results and decisions of definitions have a bounded size and depth."""

import pytest

from unspool.eventstore.events import encode_entry
from unspool.eventstore.records import Message, MessageKind
from unspool.worker.interpreter import State, decide
from unspool.worker.interpreter.snapshot import dump_state, load_state


def loop(times: int, *tasks: str) -> str:
    return f"do: [{{l: {{for: {{in: '[range({times})]'}}, do: [{', '.join(tasks)}]}}}}]"


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("{a: {set: {a: '${ . }', b: '${ . }'}}}", "expression"),
        ("{a: {set: {a: '${ $task }'}}}", "expression"),
        ("{a: {set: {inner: '${ . }'}}}", "expression"),
        ("{a: {set: {text: '<${ .text }${ .text }>'}}}", "expression"),
        ("{a: {set: {x: 1}, export: {as: '[$context, $context, \"y\" * 1000]'}}}", "expression"),
        ("{a: {do: [], output: {as: '{a: .}'}}}", "expression"),
        ("{a: {do: [], input: {from: '[., .]'}}}", "expression"),
        ("{f: {fork: {branches: [{a: {do: []}}, {b: {do: []}}]}}}", "runtime"),
    ],
)  # fmt: skip
def test_data_that_grows_without_end_faults(world, task, kind):
    run = world(loop(400, task)).start({"text": "y" * 2000})
    assert run.error["type"].endswith(kind)
    assert "limit exceeded" in run.error["detail"]


def test_arguments_of_a_call_are_bounded_too(world):
    doubled = "{call: http, with: {method: get, endpoint: http://h, body: ['${ . }', '${ . }', '${ . }']}}"
    run = world(f"do: [{{a: {doubled}}}]").start({"text": "y" * 3_000_000})
    assert run.error["type"].endswith("expression")


def test_large_data_is_handed_on_as_it_is(world):
    large = {"items": [{"n": n, "text": "x" * 10} for n in range(50_000)]}
    assert world("do: [{a: {set: {a: '${ . }'}}}, {b: {set: '${ .a }'}}]").start(large).output == large


def test_a_decision_with_much_data_is_cut(world):
    run = world(loop(100, """{a: {set: {text: '${ "x" * 500000 }'}}}"""))
    decision = decide(run.plan, State("e"), Message(MessageKind.START, "e", {"input": {}}), 0)
    assert decision.unfinished
    assert len(encode_entry(decision.events)) < 4 * 1024 * 1024
    assert run.start({}).output == {"text": "x" * 500_000}


def test_a_decision_that_has_no_time_left_makes_progress(world):
    """A busy machine can use up the time of a decision before its first event."""
    run = world(loop(4, "{a: {set: {x: 1}}}", "{b: {set: {y: 1}}}"))
    message, state, decisions = Message(MessageKind.START, "e", {"input": {}}), State("e"), 0
    while not state.status.ended:
        decision = decide(run.plan, state, message, 0, enough=lambda _: True)
        assert decision.events
        assert decision.unfinished or decision.state.status.ended
        message, state, decisions = Message(MessageKind.CONTINUE, "e", {}), decision.state, decisions + 1
    assert state.output == {"y": 1}
    assert decisions > 8


FORK = (
    "do: [{f: {fork: {branches: ["
    + ", ".join(f"{{b{n}: {{do: [{{w: {{wait: {{hours: 1}}}}}}, {{x: {{set: {{}}}}}}]}}}}" for n in range(6))
    + "]}}}]"
)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_decision_continues_one_that_was_cut_in_the_same_way_on_every_worker(world, interrupted):
    """A worker that has folded the history finds the created runs in it; the one before remembers them."""
    plan = world(FORK).plan
    message, state, fired = Message(MessageKind.START, "e", {"input": {}}), State("e"), False
    for _ in range(100):
        folded = load_state(dump_state(state))
        assert folded == state
        decision = decide(plan, state, message, 0, enough=lambda events: events >= 3)
        assert decide(plan, folded, message, 0, enough=lambda events: events >= 3) == decision
        state = decision.state
        if interrupted and not fired and decision.timers:
            message, fired = Message(MessageKind.TIMER_FIRED, "e", {"timer": decision.timers[0].id}), True
        elif state.created:
            message = Message(MessageKind.CONTINUE, "e", {})
        else:
            break
    assert len(state.timers) == 6 - fired
    assert state.busy_runs == 0
