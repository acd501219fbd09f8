"""Reads streams of server-sent events (HTML Standard, "Server-sent events"). Pure."""

from collections.abc import Iterator
from typing import NamedTuple


class ServerSentEvent(NamedTuple):
    """One event of a stream."""

    type: str
    """`message` if the stream does not name another one."""
    data: str | None
    """None for an event that has only an id."""


class ServerSentEvents:
    """Reads the events of one stream from its bytes. It holds one event at most."""

    def __init__(self, last_id: str = "") -> None:
        """Takes the id after which the stream continues an earlier one."""
        self.last_id = last_id
        """Of the last complete event; empty if there is none. A new connection continues after it."""
        self.retry_seconds: float | None = None
        """How long the server asks to wait before a new connection."""
        self._pieces: list[bytes] = []
        """The start of a line."""
        self._type = ""
        self._data: list[str] = []
        self._id: str | None = None
        """The id of the event that is read, if it has one."""

    @property
    def held(self) -> int:
        """The size of the event that is not complete yet, about in bytes."""
        return sum(map(len, self._pieces)) + sum(map(len, self._data))

    def read(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that end in the next bytes of the stream."""
        held = chunk[-1:] == b"\r"  # the line feed of this line end may follow
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r", 0, len(chunk) - held)) + 1
        if end:
            lines = b"".join((*self._pieces, chunk[:end])).splitlines()
            self._pieces = [chunk[end:]]
            for line in lines:
                yield from self._line(line)
        else:
            self._pieces.append(chunk)

    def _line(self, line: bytes) -> Iterator[ServerSentEvent]:
        if not line:
            yield from self._end()
            return
        name, _, value = line.decode("utf-8", "replace").removeprefix("\ufeff").partition(":")
        self._field(name, value.removeprefix(" "))

    def _field(self, name: str, value: str) -> None:
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit() and len(value) < 10:
            self.retry_seconds = int(value) / 1000

    def _end(self) -> Iterator[ServerSentEvent]:
        if self._id is not None:
            self.last_id = self._id
        if self._data or self._id is not None:
            yield ServerSentEvent(self._type or "message", "\n".join(self._data) if self._data else None)
        self._type, self._data, self._id = "", [], None
