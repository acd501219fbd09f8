"""Streams of server-sent events, in pieces of any size."""

import pytest

from unspool.executor.http.server_sent_events import ServerSentEvents

STREAM = (
    "\ufeffid: 1\nevent: a\ndata: x\ndata: ä\n\n: comment\ndata:\r\n\r\nid: 2\r\rid: 3\ndata: lost".encode()
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_read_from_pieces(size):
    events, found = ServerSentEvents(), []
    for start in range(0, len(STREAM), size):
        found += [(*event, events.last_id) for event in events.read(STREAM[start : start + size])]

    assert found == [("a", "x\nä", "1"), ("message", "", "1"), ("message", None, "2")]


def test_a_stream_continues_after_its_last_complete_event():
    events = ServerSentEvents()
    [*events.read(b"id: 1\ndata: x\n\nid: 2\ndata: broken off\n")]

    assert events.last_id == "1"
    assert events.held > 0
    [*events.read(b"\n")]
    assert (events.last_id, events.held) == ("2", 0)
