"""The decisions of schedules on events (inventory C4, C5, C8, P1-P8), without a store."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.worker.event_schedule_world import ID, World, event

from unspool.definitions.event_reading import Read
from unspool.eventstore.records import Message, MessageKind
from unspool.worker.schedule import event_starts
from unspool.worker.schedule.event_starts import MAX_HELD
from unspool.worker.schedule.evolve import COMPACTED, evolve
from unspool.worker.schedule.limits import COMPACT_AFTER
from unspool.worker.schedule.settings import ScheduleSettings
from unspool.worker.schedule.state import ScheduleState, state_from_json, state_to_json


def with_(type_: str, **correlate: str) -> dict[str, Any]:
    """A filter on a type, with correlations by `from`."""
    keys = {name: {"from": source} for name, source in correlate.items()}
    return {"with": {"type": type_}, **({"correlate": keys} if keys else {})}


# -- one, any


def test_each_event_starts_an_execution() -> None:
    run = World().deploy({"on": {"one": with_("a")}})
    run.publish(event("a", 1, "x"), event("b", 2), event("a", 3))
    assert run.inputs == [["x"], [None]]
    assert len({start.key.id for start in run.starts}) == 2
    assert {start.workflow.version for start in run.starts} == {"1.0.0"}
    assert {start.parent for start in run.starts} == {None}
    assert run.types() == ["schedule.deployed", "occurrence.started", "occurrence.started"]
    assert run.history[1].data["event"] == {"source": "/s", "id": "1"}
    assert (run.state.last, run.state.last_execution, run.state.next) == (
        run.now,
        run.starts[-1].key.id,
        None,
    )


def test_the_same_event_starts_the_same_execution() -> None:
    """So the store starts it once, by any worker and at any time."""
    schedule = {"on": {"one": with_("a")}}
    same = {
        World(now=now).deploy(schedule).publish(event("a", 1, n)).starts[0].key.id
        for n, now in enumerate((1_700_000_000_000, 1_800_000_000_000))
    }
    timed = World().deploy(schedule).publish(event("a", 1, time="2026-03-01T00:00:00Z")).starts[0].key.id
    other = World().deploy(schedule).publish(event("a", 2)).starts[0].key.id
    assert len(same) == 1
    assert len({*same, timed, other}) == 3


def test_any_event_of_a_list_starts_an_execution_once() -> None:
    run = World().deploy({"on": {"any": [with_("a"), with_("b"), {"with": {"source": "/s"}}]}})
    run.publish(event("a", 1, 1), event("b", 2, 2), event("c", 3, 3), event("c", 4, 4, source="/other"))
    assert run.inputs == [[1], [2], [3]]


def test_any_event_at_all() -> None:
    assert World().deploy({"on": {"any": []}}).publish(event("x", 1, 1)).inputs == [[1]]


@pytest.mark.parametrize(
    ("read", "default", "expected"),
    [
        (None, Read.DATA, {"n": 1}),
        (None, Read.ENVELOPE, event("a", 1, {"n": 1})),
        ("data", Read.ENVELOPE, {"n": 1}),
        ("envelope", Read.DATA, event("a", 1, {"n": 1})),
        ("raw", Read.DATA, '{"n":1}'),
    ],
)
def test_read(read: str | None, default: Read, expected: Any) -> None:
    """Inventory C5, V7."""
    schedule = {"on": {"one": with_("a")}} | ({"read": read} if read else {})
    assert World(read=default).deploy(schedule).publish(event("a", 1, {"n": 1})).inputs == [[expected]]


def test_the_default_of_read_is_a_setting() -> None:
    assert ScheduleSettings().rules.read is Read.DATA
    assert ScheduleSettings(read="envelope").rules.read is Read.ENVELOPE
    with pytest.raises(ValueError, match="UNSPOOL_SCHEDULE_READ must be one of data, envelope, raw"):
        ScheduleSettings(read="all")


def test_filters_compare_with_the_event_only() -> None:
    """Patterns, predicates, constants of `expect`; there is no data of a task (inventory P8)."""
    filter_ = {
        "with": {"type": "order[.].*", "data": "${ .amount > 10 }"},
        "correlate": {"shop": {"from": ".data.shop", "expect": "here"}},
    }
    run = World().deploy({"on": {"one": filter_}})
    run.publish(
        event("order.paid", 1, {"amount": 11, "shop": "here"}),
        event("order.paid", 2, {"amount": 11, "shop": "there"}),
        event("order.paid", 3, {"amount": 9, "shop": "here"}),
        event("paid", 4, {"amount": 11, "shop": "here"}),
    )
    assert [start.input[0]["amount"] for start in run.starts] == [11]


def test_a_filter_compares_with_any_kind_of_value() -> None:
    filters = [{"with": {"type": "${ $runtime.metadata }"}}, {"with": {"subject": "${ $runtime.metadata }"}}]
    run = World().deploy({"on": {"any": [*filters, with_("a")]}})
    run.publish(event("b", 1), event("a", 2, "x", subject="s"))
    assert run.inputs == [["x"]]


def test_a_batch_of_messages_is_one_decision_that_is_bounded() -> None:
    run = World().deploy({"on": {"one": with_("a")}})
    messages = [Message(MessageKind.EVENT, ID, {"run": "on", "event": event("a", n)}) for n in range(600)]
    decision = run.decide(messages)
    assert (decision.read, len(decision.outgoing)) == (500, 500)
    large = [
        Message(MessageKind.EVENT, ID, {"run": "on", "event": event("a", n, "x" * 1_000_000)})
        for n in range(9)
    ]
    assert run.decide(large).read == 3


# -- pause, versions, other triggers


def test_events_during_a_pause_start_nothing() -> None:
    run = World().deploy({"on": {"one": with_("a")}})
    late = Message(MessageKind.EVENT, ID, {"run": "on", "event": event("a", 1)})
    run.send(MessageKind.SUSPEND)
    assert run.subscription is None
    assert run.decide([late]).events == ()
    assert run.send(MessageKind.SUSPEND).types()[-1] == "schedule.paused"
    run.send(MessageKind.RESUME).publish(event("a", 2, 2))
    assert run.inputs == [[2]]
    before = run.state
    assert run.send(MessageKind.RESUME).state == before


def test_a_new_version_takes_over_at_once() -> None:
    run = World().deploy({"on": {"one": with_("a")}}).publish(event("a", 1, 1))
    run.deploy({"on": {"one": with_("b")}}, "2.0.0").publish(event("a", 2, 2), event("b", 3, 3))
    assert [(start.input, start.workflow.version) for start in run.starts] == [([1], "1.0.0"), ([3], "2.0.0")]
    run.deploy({}, "3.0.0")
    assert (run.subscription, run.state.status) == (None, "completed")
    run.deploy({"on": {"one": with_("a")}}, "4.0.0").publish(event("a", 4, 4))
    assert run.inputs[-1] == [4]


def test_a_version_that_is_deployed_during_a_pause_waits() -> None:
    run = World().deploy({"on": {"one": with_("a")}}).send(MessageKind.SUSPEND)
    run.deploy({"on": {"one": with_("b")}}, "2.0.0")
    assert run.subscription is None
    assert run.send(MessageKind.RESUME).publish(event("a", 1), event("b", 2, 2)).inputs == [[2]]


# -- sets

PAIR = {"on": {"all": [with_("a", order=".data.order"), with_("b", order=".data.order")]}}


def test_a_set_is_complete_when_each_filter_has_an_event() -> None:
    run = World().deploy({"on": {"all": [with_("a"), with_("b")]}})
    run.publish(event("b", 1, 1), event("b", 2, 2), event("a", 3, 3), event("a", 4, 4))
    assert run.inputs == [[1, 3]]
    assert run.publish(event("b", 5, 5)).inputs == [[1, 3], [4, 5]]


def test_each_value_of_a_correlation_has_one_set() -> None:
    """Inventory C8, P8."""
    run = World().deploy(PAIR)

    def of(type_: str, id_: int, order: Any) -> dict[str, Any]:
        return event(type_, id_, {"order": order, "n": id_})

    run.publish(of("a", 1, 1), of("a", 2, "1"), of("a", 3, 1), of("b", 4, 2), event("a", 5, {}))
    assert run.inputs == []
    assert len(run.state.sets.by_number) == 3
    run.publish(of("b", 6, 1.0), of("b", 7, "1"), of("a", 8, 2))
    assert [[each["n"] for each in value] for value in run.inputs] == [[1, 6], [2, 7], [4, 8]]
    assert (len(run.state.sets.by_number), run.state.sets.size, run.state.sets.events) == (0, 0, 0)


def test_correlations_that_only_some_filters_have() -> None:
    run = World().deploy({"on": {"all": [with_("a", x=".data.x", y=".data.y"), with_("b", x=".data.x")]}})
    run.publish(event("a", 1, {"x": 1, "y": 1}), event("a", 2, {"x": 1, "y": 2}), event("b", 3, {"x": 1}))
    assert [[each.get("y") for each in value] for value in run.inputs] == [[1, None]]
    assert run.publish(event("b", 4, {"x": 1})).inputs[1][0]["y"] == 2


def test_a_condition_ends_a_set() -> None:
    run = World().deploy({"on": {"any": [with_("a", k=".data.k")], "until": "map(.n) | add >= 3"}})
    run.publish(*(event("a", n, {"k": n % 2, "n": n}) for n in (1, 2, 3, 4)))
    assert [[each["n"] for each in value] for value in run.inputs] == [[1, 3], [2, 4]]


def test_events_end_a_set_and_are_not_in_it() -> None:
    run = World().deploy({"on": {"any": [], "until": {"one": with_("flush")}}})
    run.publish(event("flush", 1), event("a", 2, 2), event("b", 3, 3), event("flush", 4), event("flush", 5))
    assert run.inputs == [[2, 3]]
    assert run.types()[1:] == ["event.received"] * 3 + ["occurrence.started"]


def test_an_event_of_until_that_its_set_has_already_is_for_the_other_filters() -> None:
    until = {"all": [with_("a"), with_("b")]}
    run = World().deploy({"on": {"any": [{"with": {"subject": "s"}}], "until": until}})
    kinds = [("a", 1), ("x", 2), ("a", 3), ("a", 4), ("b", 5), ("b", 6)]
    run.publish(*(event(kind, n, n, subject="s") for kind, n in kinds))
    assert run.inputs == [[2, 4]]


def test_a_condition_that_fails_does_not_hold() -> None:
    run = World().deploy({"on": {"any": [with_("a")], "until": "map(.n) | add >= 3"}})
    assert run.publish(event("a", 1, "text"), event("a", 2, {"n": 5})).inputs == []


def test_sets_of_a_changed_trigger_are_dropped_and_others_go_on() -> None:
    run = World().deploy(PAIR).publish(event("a", 1, {"order": 1}))
    run.deploy({**PAIR, "read": "envelope"}, "1.1.0").publish(event("b", 2, {"order": 1}))
    assert [each["id"] for each in run.inputs[0]] == ["1", "2"]
    run.publish(event("a", 3, {"order": 1}))
    run.deploy({"on": {"all": [with_("a"), with_("b")]}}, "1.2.0").publish(event("b", 4))
    assert len(run.inputs) == 1
    assert run.state.sets.events == 1


def test_a_pause_keeps_sets() -> None:
    run = World().deploy(PAIR).publish(event("a", 1, {"order": 1})).send(MessageKind.SUSPEND)
    run.publish(event("b", 2, {"order": 1}))
    run.send(MessageKind.RESUME).publish(event("b", 3, {"order": 1}))
    assert len(run.inputs) == 1


def test_the_oldest_sets_are_dropped_if_they_hold_too_much() -> None:
    run = World().deploy(PAIR)
    run.publish(*(event("a", n, {"order": n, "text": "x" * 65536}) for n in range(100)))
    sets = run.state.sets
    assert MAX_HELD - 70_000 < sets.size <= MAX_HELD
    dropped = [each.data for each in run.history if each.type == "correlation.dropped"]
    assert [each["set"] for each in dropped] == [*range(100 - len(sets.by_number))]
    assert {each["events"] for each in dropped} == {1}
    run.publish(event("b", "old", {"order": 0}), event("b", "new", {"order": 99}))
    assert len(run.inputs) == 1


def test_an_event_that_is_too_large_to_be_held_is_dropped() -> None:
    run = World().deploy(PAIR).publish(event("a", 1, {"order": 1, "text": "x" * (MAX_HELD + 1)}))
    assert run.types()[-1] == "correlation.dropped"
    assert run.state.sets.size == 0


def test_the_oldest_sets_are_dropped_if_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_starts, "MAX_SETS", 3)
    run = World().deploy(PAIR).publish(*(event("a", n, {"order": n}) for n in range(5)))
    assert sorted(run.state.sets.by_number) == [2, 3, 4]


def test_a_history_of_sets_is_compacted() -> None:
    """The whole state is written rarely, and it is the same without the events before it."""
    run = World().deploy(PAIR)
    for n in range(40):
        run.publish(*(event("a", f"{n}/{m}", {"order": [n, m]}) for m in range(25)))
    written = [each for each in run.history if each.type == COMPACTED]
    assert len(written) < 1000 / COMPACT_AFTER
    start = run.history.index(written[-1])
    again = ScheduleState(ID, run.history[start].seq - 1)
    for each in run.history[start:]:
        again = evolve(again, each)
    assert again == run.state


def test_a_history_of_large_events_is_compacted_by_size() -> None:
    run = World().deploy({"on": {"any": [with_("a")], "until": "length == 2"}})
    run.publish(*(event("a", n, "x" * 100_000) for n in range(60)))
    assert 5 <= run.types().count(COMPACTED) <= 12


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3)), max_size=40))
def test_no_set_mixes_values_and_no_event_is_consumed_twice(published: list[tuple[str, int]]) -> None:
    run = World().deploy({**PAIR, "read": "envelope"})
    run.publish(*(event(type_, n, {"order": order}) for n, (type_, order) in enumerate(published)))
    ids = [each["id"] for value in run.inputs for each in value]
    assert len(ids) == len(set(ids))
    for value in run.inputs:
        assert {each["type"] for each in value} == {"a", "b"}
        assert len({each["data"]["order"] for each in value}) == 1
    for order in range(4):
        of_order = [type_ for type_, each in published if each == order]
        waiting: set[str] = set()
        complete = 0
        for type_ in of_order:
            waiting.add(type_)
            if len(waiting) == 2:
                complete, waiting = complete + 1, set()
        assert complete == sum(value[0]["data"]["order"] == order for value in run.inputs)


@pytest.mark.parametrize(
    "source",
    [
        "reduce range(5000) as $n (.data; [.])",  # deeper than JSON and Python allow
        " | ".join(["[., .]"] * 20),  # would be large as JSON
        ".data.text",
        "[range(10000000)]",
        '.data | error("no")',
    ],
)
def test_hostile_correlations_match_nothing_and_take_little_time(source: str) -> None:
    run = World().deploy({"on": {"all": [with_("a", k=source), with_("b", k=source)]}})
    begun = time.process_time()
    run.publish(event("a", 1, {"text": "x" * 100_000}), event("b", 2, {"text": "x" * 100_000}))
    assert run.types() == ["schedule.deployed"]
    assert time.process_time() - begun < 10


def test_a_state_of_before_has_no_sets() -> None:
    """Histories stay readable."""
    run = World().deploy({"on": {"one": with_("a")}}).publish(event("a", 1))
    written = state_to_json(run.state)
    del written["sets"]
    read = state_from_json(ID, run.state.version, written)
    assert read == run.state._replace(compacted_at=run.state.version)
