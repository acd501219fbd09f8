"""Archived files of published events and of schedules are read by commands."""

import pytest

from unspool.eventstore.archives import ArchiveFile, write_events
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import PublishedEvent
from unspool.eventstore.records import ExecutionKey, ExecutionRecord, Status, WorkflowRef

EVENTS = [
    {"specversion": "1.0", "id": f"e{n}", "source": "/shop", "type": "paid", "data": {"n": n}}
    for n in range(3)
]


@pytest.fixture
def archived(home):
    """A file of published events."""
    path = home / "events.jsonl.gz"
    write_events(path, "default", [PublishedEvent(f"{n}-0", event, n) for n, event in enumerate(EVENTS)])
    return path


def test_archived_events_are_printed_as_they_were_published(unspool, archived):
    assert unspool("events", "read", str(archived), str(archived)).lines == EVENTS * 2


def test_a_damaged_file_of_events_is_bad_input(unspool, archived):
    archived.write_bytes(archived.read_bytes()[:-9])
    result = unspool("events", "read", str(archived))
    assert result.code == 2
    assert str(archived) in result.stderr


def test_a_part_of_a_schedule_is_a_history_and_no_file_of_events(unspool, home):
    ref = WorkflowRef("$unspool", "schedule", "1")
    record = ExecutionRecord(ExecutionKey("default", "$schedule.shop.report"), ref, Status.WAITING, 9, 1)
    path = home / "000000000201.jsonl.gz"
    with ArchiveFile(path, record, None) as file:
        file.add([Event(seq, "occurrence.started", 1, "/schedule/every", None, {}) for seq in (201, 202)])
        file.complete({})

    assert [event["seq"] for event in unspool("history", str(path), "--json").lines] == [201, 202]
    assert unspool("events", "read", str(path)).code == 2
    assert unspool("replay", str(path)).code == 2
