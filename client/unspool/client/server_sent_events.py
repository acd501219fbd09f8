"""Server-Sent Events: finds the id and the data of each in a stream of bytes.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, the part that the API sends: lines
end with a line feed, and an event has at most one line of data.
"""

from typing import Final, NamedTuple

_END: Final = b"\n\n"
_DATA: Final = b"data: "
_ID: Final = b"id: "
_PUBLISHED: Final = b"published: "
_ERROR: Final = b"event: error"


class Frame(NamedTuple):
    """A Server-Sent Event."""

    id: str
    data: bytes
    is_error: bool = False
    """Whether it is the problem that ends the stream, not an event."""
    published: str = ""
    """When an event of the bus was published, in RFC 3339; empty for other messages."""


class SseParser:
    """Collects bytes until events are whole. A line can have any length, as outputs of tasks can."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[Frame]:
        """Adds bytes; returns the events that are whole now. Comments are skipped."""
        searched = max(0, len(self._buffer) - 1)
        self._buffer += chunk
        end = self._buffer.rfind(_END, searched)
        if end < 0:
            return []
        whole = bytes(self._buffer[:end])
        del self._buffer[: end + len(_END)]
        return [frame for text in whole.split(_END) if (frame := _frame(text)) is not None]


def _frame(text: bytes) -> Frame | None:
    id_, published, data = b"", b"", None
    lines = text.split(b"\n")
    for line in lines:
        if line.startswith(_ID):
            id_ = line.removeprefix(_ID)
        elif line.startswith(_PUBLISHED):
            published = line.removeprefix(_PUBLISHED)
        elif line.startswith(_DATA):
            data = line.removeprefix(_DATA)
    return None if data is None else Frame(id_.decode(), data, _ERROR in lines, published.decode())
