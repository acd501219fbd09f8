"""The decisions of schedules, in virtual time (inventory C1-C3, C6, C7, C9)."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unspool.definitions.schedules import parse_schedule
from unspool.eventstore.events import Event, decode_entry, encode_entry
from unspool.eventstore.records import Message, MessageKind, Start, StartExecution, WorkflowRef
from unspool.worker.schedule.decide import LATE, MAX_MISSED, decide
from unspool.worker.schedule.evolve import COMPACTED, evolve, fold
from unspool.worker.schedule.limits import MAX_STARTS
from unspool.worker.schedule.rules import Missed, Rules
from unspool.worker.schedule.state import ScheduleState, state_from_json, state_to_json

ID = "$schedule.shop.report"
BEGIN = 1_700_000_000_000
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000


def workflow(version: str) -> list[str]:
    return ["shop", "report", version]


@dataclass
class World:
    """One schedule. Its timers fire when time passes; a test ends its executions."""

    missed: Missed = Missed.ONCE
    zone: Any = UTC
    now: int = BEGIN
    state: ScheduleState = field(default_factory=lambda: ScheduleState(ID))
    history: list[Event] = field(default_factory=list)
    timers: dict[str, int] = field(default_factory=dict)
    starts: list[Start] = field(default_factory=list)
    obsolete_before: int = 0

    def deploy(self, schedule: Any, version: str = "1.0.0", kind: Any = None) -> "World":
        body = {"workflow": workflow(version), "schedule": schedule}
        if self.state.version == 0:
            return self.send(MessageKind.START, input=body)
        return self.send(MessageKind.DEPLOY, **body)

    def send(self, kind: MessageKind, **body: Any) -> "World":
        message, rules = Message(kind, ID, body), Rules(self.zone, self.missed)
        decision = decide(self.state, [message], self.now, rules, {})
        assert decide(self.state, [message], self.now, rules, {}) == decision, "decide is not a function"
        after = self.state
        for event in decision.events:
            after = evolve(after, event)
        assert after == decision.state, "the events do not say all"
        if decision.events:
            assert decode_entry(encode_entry(decision.events)) == decision.events
        self.state = decision.state
        self.history += decision.events
        for timer in decision.timers:
            assert timer.id not in self.timers, "a timer id was used twice"
            self.timers[timer.id] = timer.due_at
        for id_ in decision.timers_cancelled:
            del self.timers[id_]
        for outgoing in decision.outgoing:
            assert isinstance(outgoing, StartExecution)
            self.starts.append(outgoing.start)
        self.obsolete_before = max(self.obsolete_before, decision.obsolete_before)
        return self

    def until(self, time: int) -> "World":
        """Lets time pass; timers fire when they are due."""
        while due := [pair for pair in self.timers.items() if pair[1] <= time]:
            timer, at = min(due, key=lambda pair: pair[1])
            self.now = max(self.now, at)
            self.fire(timer)
        self.now = time
        return self

    def outage(self, time: int) -> "World":
        """Lets time pass while no service runs; then all due timers fire."""
        self.now = time
        return self.until(time)

    def fire(self, timer: str) -> None:
        del self.timers[timer]
        self.send(MessageKind.TIMER_FIRED, timer=timer)

    def end(self, status: str = "completed") -> "World":
        """Ends the last execution."""
        last = self.starts[-1]
        assert last.parent is not None
        return self.send(MessageKind.CHILD_ENDED, run=last.parent.run, child=last.key.id, status=status)

    @property
    def started(self) -> list[int]:
        """Returns the times of the occurrences that were started, from the beginning."""
        return [event.data["dueAt"] - BEGIN for event in self.history if event.type == "occurrence.started"]

    def types(self) -> list[str]:
        return [event.type for event in self.history]


# -- triggers


def test_every_starts_after_each_interval() -> None:
    """Inventory C1, C9."""
    run = World().deploy({"every": {"seconds": 10}}).until(BEGIN + 35 * SECOND)
    assert run.started == [10 * SECOND, 20 * SECOND, 30 * SECOND]
    assert {start.workflow for start in run.starts} == {WorkflowRef("shop", "report", "1.0.0")}
    assert [start.input for start in run.starts] == [{}, {}, {}]
    assert [start.parent for start in run.starts] == [None] * 3
    assert len({start.key.id for start in run.starts}) == 3
    assert run.state.next == BEGIN + 40 * SECOND
    assert (run.state.last, run.state.last_execution) == (BEGIN + 30 * SECOND, run.starts[-1].key.id)


def test_delays_do_not_add_up() -> None:
    run = World().deploy({"every": {"seconds": 10}})
    for number in range(1, 6):
        run.outage(BEGIN + number * 10 * SECOND + 900)
    assert run.started == [number * 10 * SECOND for number in range(1, 6)]


def test_cron_starts_at_local_times() -> None:
    """Inventory C2."""
    berlin = ZoneInfo("Europe/Berlin")
    run = World(zone=berlin).deploy({"cron": "30 2 * * *"}).until(BEGIN + 3 * DAY)
    times = [datetime.fromtimestamp((BEGIN + at) / 1000, berlin) for at in run.started]
    assert [(time.hour, time.minute) for time in times] == [(2, 30)] * 3


def test_after_starts_at_once_and_then_when_the_last_has_ended() -> None:
    """Inventory C3."""
    run = World().deploy({"after": {"minutes": 1}}).until(BEGIN + HOUR)
    assert run.started == [0]
    assert run.state.next is None
    run.end().until(BEGIN + 2 * HOUR)
    assert run.started == [0, HOUR + MINUTE]
    first = run.starts[0]
    assert first.parent is not None
    assert (first.parent.execution, first.parent.depth) == (ID, 0)
    run.end("faulted").until(BEGIN + 3 * HOUR)
    assert run.started == [0, HOUR + MINUTE, 2 * HOUR + MINUTE]


def test_after_ends_when_an_operator_cancels_its_execution() -> None:
    """Inventory C3. Resuming the schedule begins it again, and so does a new version."""
    run = World().deploy({"after": {"minutes": 1}}).until(BEGIN + HOUR).end("cancelled").until(BEGIN + DAY)
    assert run.started == [0]
    run.send(MessageKind.RESUME).until(BEGIN + DAY + 1)
    assert run.started == [0, DAY]
    run.end("cancelled").deploy({"after": {"minutes": 1}}, "1.1.0").until(BEGIN + DAY + 2)
    assert run.started == [0, DAY, DAY + 1]


def test_an_end_counts_once() -> None:
    run = World().deploy({"after": {"minutes": 1}}).until(BEGIN + 1).end()
    before = run.state
    run.end()
    run.end("faulted")
    assert run.state == before


def test_triggers_work_independently() -> None:
    """Inventory C6."""
    schedule = {"every": {"minutes": 20}, "after": {"hours": 1}, "cron": "*/30 * * * *"}
    run = World(now=BEGIN).deploy(schedule).until(BEGIN + 1).end().until(BEGIN + 59 * MINUTE)
    tasks = [event.task for event in run.history if event.type == "occurrence.started"]
    assert Counter(tasks) == {"/schedule/every": 2, "/schedule/after": 1, "/schedule/cron": 2}


def test_a_timer_that_fires_twice_starts_once() -> None:
    run = World().deploy({"every": {"seconds": 10}})
    [timer] = run.timers
    run.until(BEGIN + 10 * SECOND)
    before = run.state
    run.send(MessageKind.TIMER_FIRED, timer=timer)
    assert run.state == before


def test_the_same_occurrence_has_the_same_execution_in_every_history() -> None:
    one, other = (World().deploy({"cron": "0 * * * *"}, version) for version in ("1.0.0", "2.0.0"))
    one.until(BEGIN + HOUR)
    other.outage(BEGIN + HOUR + 7)
    assert [start.key.id for start in one.starts] == [start.key.id for start in other.starts]


def test_a_timer_that_fires_before_the_clock_of_the_worker_starts_its_occurrence() -> None:
    run = World().deploy({"every": {"seconds": 10}})
    run.now = BEGIN + 9_990
    run.fire(next(iter(run.timers)))
    assert run.started == [10 * SECOND]
    assert run.state.next == BEGIN + 20 * SECOND


@pytest.mark.parametrize("missed", Missed)
def test_a_changed_zone_is_used_after_the_occurrence_that_is_due(missed: Missed) -> None:
    begin = int(datetime(2026, 11, 30, tzinfo=UTC).timestamp() * 1000)
    run = World(missed, now=begin).deploy({"cron": "30 6 * * *"}).until(begin + HOUR)
    run.zone = ZoneInfo("Europe/Berlin")  # one hour before UTC in November
    run.until(begin + 2 * DAY)
    due = begin - BEGIN + 6 * HOUR + 30 * MINUTE
    assert run.started == [due, due + DAY - HOUR]
    assert "occurrences.missed" not in run.types()


# -- missed occurrences


@pytest.mark.parametrize("trigger", [{"every": "PT1M"}, {"cron": "* * * * *"}])
def test_by_default_an_outage_leads_to_one_execution(trigger: Any) -> None:
    run = World().deploy(trigger).until(BEGIN + 5 * MINUTE)
    before = len(run.starts)
    run.outage(BEGIN + DAY)
    assert len(run.starts) == before + 1
    assert BEGIN + DAY - MINUTE < BEGIN + run.started[-1] <= BEGIN + DAY
    [missed] = [event.data for event in run.history if event.type == "occurrences.missed"]
    assert (missed["from"], missed["before"]) == (BEGIN + run.started[-2] + MINUTE, BEGIN + run.started[-1])
    assert run.state.missed == (missed["from"], missed["before"])
    assert state_from_json(ID, run.state.version, state_to_json(run.state)).missed == run.state.missed
    run.until(BEGIN + DAY + MINUTE)
    assert len(run.starts) == before + 2


@pytest.mark.parametrize("trigger", [{"every": "PT1M"}, {"cron": "* * * * *"}])
def test_all_missed_occurrences_are_started_in_order(trigger: Any) -> None:
    run = World(Missed.ALL).deploy(trigger).outage(BEGIN + 250 * MINUTE)
    assert [b - a for a, b in zip(run.started, run.started[1:], strict=False)] == [MINUTE] * 249
    assert len(run.starts) == 250
    per_commit = [event for event in run.history if event.type == "occurrence.scheduled"]
    assert len(per_commit) == 1 + -(-250 // MAX_STARTS)


@pytest.mark.parametrize("trigger", [{"every": "PT1S"}, {"cron": "* * * * * *"}])
def test_all_is_bounded(trigger: Any) -> None:
    run = World(Missed.ALL).deploy(trigger).outage(BEGIN + 30 * DAY)
    assert len(run.starts) == MAX_MISSED
    assert run.started[-1] == 30 * DAY
    assert run.state.next == BEGIN + 30 * DAY + SECOND


@pytest.mark.parametrize("trigger", [{"every": "PT1H"}, {"cron": "20 * * * *"}])
def test_missed_occurrences_can_be_skipped(trigger: Any) -> None:
    run = World(Missed.SKIP).deploy(trigger)
    due = run.state.next
    assert due is not None
    run.outage(due + 30 * HOUR + LATE + 1)
    assert run.started == []
    assert run.types().count("occurrences.missed") == 1
    run.until(run.now + HOUR)
    assert len(run.starts) == 1


def test_a_little_late_is_not_missed() -> None:
    run = World(Missed.SKIP).deploy({"every": "PT1H"}).outage(BEGIN + HOUR + LATE)
    assert run.started == [HOUR]


@settings(deadline=None)
@given(
    missed=st.sampled_from(Missed),
    schedule=st.sampled_from(
        [{"every": "PT7S"}, {"cron": "*/11 * * * * *"}, {"every": "PT1M", "after": "PT9S"}]
    ),
    steps=st.lists(st.tuples(st.booleans(), st.integers(1, 4 * 60_000)), max_size=12),
)
def test_occurrences_are_started_once_and_in_order(
    missed: Missed, schedule: Any, steps: list[tuple[bool, int]]
) -> None:
    """With `all`, none is left out, with any outages."""
    run = World(missed).deploy(schedule)
    for outage, milliseconds in steps:
        (run.outage if outage else run.until)(run.now + milliseconds)
        if run.starts and run.starts[-1].parent is not None:
            run.end()
    assert len({start.key.id for start in run.starts}) == len(run.starts)
    for name in schedule.keys() & {"every", "cron"}:
        started = [
            event.data["dueAt"]
            for event in run.history
            if event.type == "occurrence.started" and event.task == f"/schedule/{name}"
        ]
        wanted = parse_schedule(schedule, UTC).series(name, BEGIN).newest(BEGIN + 1, run.now, 10_000)
        assert started == sorted(set(started))
        assert set(started) <= set(wanted)
        assert missed is not Missed.ALL or started == wanted


# -- pause and resume


def test_a_paused_schedule_starts_nothing_and_does_not_make_up_for_it() -> None:
    run = World(Missed.ALL).deploy({"every": "PT10S"}).until(BEGIN + 15 * SECOND).send(MessageKind.SUSPEND)
    assert (run.state.paused, run.state.next, run.timers) == (True, None, {})
    assert run.state.pause is not None
    assert state_from_json(ID, run.state.version, state_to_json(run.state)).pause == run.state.pause
    run.until(BEGIN + 55 * SECOND)
    assert run.started == [10 * SECOND]
    run.send(MessageKind.RESUME)
    assert (run.state.paused, run.state.pause, run.state.next) == (False, None, BEGIN + 60 * SECOND)


def test_pause_and_resume_are_idempotent() -> None:
    run = World().deploy({"every": "PT10S"}).send(MessageKind.SUSPEND)
    before = run.state
    assert run.send(MessageKind.SUSPEND).state == before
    before = run.send(MessageKind.RESUME).state
    assert run.send(MessageKind.RESUME).state == before


def test_an_execution_of_after_that_ends_during_a_pause_counts() -> None:
    run = World().deploy({"after": "PT1M"}).until(BEGIN + 1).send(MessageKind.SUSPEND).end()
    assert run.timers == {}
    run.until(BEGIN + HOUR).send(MessageKind.RESUME).until(BEGIN + HOUR)
    assert len(run.starts) == 2


def test_a_timer_that_fired_before_the_pause_starts_nothing_after_it() -> None:
    run = World().deploy({"every": "PT10S"})
    [timer] = run.timers
    run.send(MessageKind.SUSPEND)
    run.send(MessageKind.TIMER_FIRED, timer=timer)
    assert run.starts == []
    assert "occurrences.missed" not in run.types()


def test_what_was_due_before_a_pause_and_did_not_start_is_missed() -> None:
    run = World().deploy({"every": "PT10S", "after": "PT1M"})
    run.now = BEGIN + 35 * SECOND
    run.send(MessageKind.SUSPEND)
    assert run.state.missed == (BEGIN + 10 * SECOND, BEGIN + 35 * SECOND)
    run.send(MessageKind.RESUME)
    assert run.state.triggers["every"].due == BEGIN + 40 * SECOND
    assert run.types().count("occurrences.missed") == 1


# -- new versions


def test_a_new_version_takes_over() -> None:
    run = World().deploy({"every": "PT10S"}).until(BEGIN + 15 * SECOND).deploy({"every": "PT1M"}, "1.1.0")
    assert len(run.timers) == 1
    run.until(BEGIN + 80 * SECOND)
    assert run.started == [10 * SECOND, 75 * SECOND]
    assert run.starts[-1].workflow.version == "1.1.0"


def test_a_trigger_that_did_not_change_goes_on() -> None:
    """Otherwise a schedule would never fire if versions are deployed more often."""
    run = World().deploy({"every": "PT10S", "cron": "0 0 * * *"})
    for minor in range(1, 5):
        run.until(run.now + 6 * SECOND).deploy({"every": "PT10S"}, f"1.{minor}.0")
    assert run.started == [10 * SECOND, 20 * SECOND]
    assert len(run.timers) == 1


@pytest.mark.parametrize("version", ["1.0.0", "0.9.9", "1.0.0-rc.1"])
def test_versions_that_are_not_higher_change_nothing(version: str) -> None:
    """Messages of two deployments may arrive in the other order."""
    run = World().deploy({"every": "PT10S"})
    before = run.state
    assert run.deploy({"every": "PT1S"}, version).state == before
    assert run.deploy(None, version).state == before


def test_a_version_without_a_schedule_ends_it_and_a_later_one_begins_again() -> None:
    run = World().deploy({"every": "PT10S", "after": "PT1S"}).until(BEGIN + 1).deploy(None, "2.0.0")
    assert (run.timers, run.state.status, run.state.next) == ({}, "completed", None)
    run.end().send(MessageKind.RESUME).send(MessageKind.SUSPEND).until(BEGIN + HOUR)
    assert (run.started, run.state.status) == ([0], "completed")
    run.deploy({"every": "PT10S"}, "2.0.1").until(BEGIN + HOUR + 10 * SECOND)
    assert (run.started, run.state.status) == ([0, HOUR + 10 * SECOND], "waiting")


def test_a_new_version_of_after_waits_for_the_execution_of_the_old_one() -> None:
    run = World().deploy({"after": "PT1M"}).until(BEGIN + 1).deploy({"after": "PT5S"}, "2.0.0")
    run.until(BEGIN + HOUR)
    assert run.started == [0]
    run.end().until(BEGIN + 2 * HOUR)
    assert run.started == [0, HOUR + 5 * SECOND]


def test_a_new_version_of_a_paused_schedule_is_paused() -> None:
    run = World().deploy({"every": "PT10S"}).send(MessageKind.SUSPEND).deploy({"every": "PT1S"}, "2.0.0")
    assert (run.state.paused, run.timers) == (True, {})
    run.until(BEGIN + HOUR).send(MessageKind.RESUME).until(BEGIN + HOUR + SECOND)
    assert run.started == [HOUR + SECOND]


def test_messages_of_other_kinds_change_nothing() -> None:
    run = World().deploy({"every": "PT10S"})
    before = run.state
    for kind in (MessageKind.CANCEL, MessageKind.RETRY, MessageKind.CONTINUE, MessageKind.TASK_COMPLETED):
        assert run.send(kind).state == before


# -- the history


def test_a_history_can_begin_with_a_compaction() -> None:
    run = World().deploy({"every": "PT1S", "after": "PT1S", "cron": "* * * * *"})
    for _ in range(300):
        run.until(run.now + SECOND)
        if run.starts[-1].parent is not None:
            run.end()
    compactions = [event for event in run.history if event.type == COMPACTED]
    assert len(compactions) > 2
    assert run.obsolete_before == compactions[-2].seq
    for compaction in compactions:
        left = [event for event in run.history if event.seq >= compaction.seq]
        assert fold(ScheduleState(ID), left) == run.state


def test_the_kept_part_of_a_history_does_not_grow() -> None:
    run = World().deploy({"every": "PT1S"})
    for _ in range(40):
        run.until(run.now + MINUTE)
        kept = [event for event in run.history if event.seq >= run.obsolete_before]
        assert len(kept) < 450
