"""Server-Sent Events: finds the data of each in a stream of bytes.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, the part that the API sends: lines
end with a line feed, and an event has at most one line of data.
"""

from typing import Final

_END: Final = b"\n\n"
_DATA: Final = b"data: "


class SseParser:
    """Collects bytes until events are whole. A line can have any length, as outputs of tasks can."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Adds bytes; returns the data of the events that are whole now. Comments are skipped."""
        searched = max(0, len(self._buffer) - 1)
        self._buffer += chunk
        end = self._buffer.rfind(_END, searched)
        if end < 0:
            return []
        whole = bytes(self._buffer[:end])
        del self._buffer[: end + len(_END)]
        return [line.removeprefix(_DATA) for line in whole.split(b"\n") if line.startswith(_DATA)]
