"""Reads server-sent events (WHATWG HTML, 9.2.6), a line at a time. Pure."""

from typing import NamedTuple


class ServerSentEvent(NamedTuple):
    """One event."""

    data: str
    name: str
    id: str
    """Of the last event that had one."""


class EventReader:
    """Collects the lines of an event."""

    def __init__(self) -> None:
        self._data: list[str] = []
        self._name = ""
        self._id = ""

    def line(self, line: bytes) -> ServerSentEvent | None:
        """Takes a line; returns the event that ends with it, if one does."""
        if line:
            self._field(line.decode("utf-8", "replace"))
            return None
        data, name = self._data, self._name
        self._data, self._name = [], ""
        return ServerSentEvent("\n".join(data), name or "message", self._id) if data else None

    def _field(self, line: str) -> None:
        name, _, value = line.removeprefix("\ufeff").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id" and "\0" not in value:
            self._id = value
