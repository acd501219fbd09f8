"""Logging of the services: one JSON object a line on standard error; plain text for a terminal."""

import logging
import sys
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, TypeAlias

import orjson

from unspool.cli.terminal import is_terminal, printable
from unspool.eventstore.monitoring.trace_context import trace_ids
from unspool.eventstore.settings import BadSetting
from unspool.eventstore.tracebacks import traceback_without_messages

_ExcInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)

LEVELS: Final = ("debug", "info", "warning", "error")

_ORDINARY: Final = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
"""Attributes that every record has, and one that uvicorn adds. All others come from `extra`."""


def start_logging(level: str) -> None:
    """Sends the log of this process to standard error.

    Raises:
        BadSetting: the level does not exist.
    """
    if level.lower() not in LEVELS:
        raise BadSetting(f"UNSPOOL_LOG_LEVEL must be one of {', '.join(LEVELS)}, not {level!r}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainFormatter() if is_terminal(sys.stderr) else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


class ServiceFormatter(logging.Formatter):
    """Formats exceptions without their messages, which can quote data of a workflow."""

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - the name of the base class
        """Returns the traceback."""
        return "" if ei[1] is None else traceback_without_messages(ei[1])


class JsonFormatter(ServiceFormatter):
    """Formats a record as a JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line."""
        members = {
            "time": _time(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            members["traceback"] = self.formatException(record.exc_info)
        return printable(orjson.dumps(members, default=str).decode())


class PlainFormatter(ServiceFormatter):
    """Formats a record as a line of text."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, and the traceback if there is one."""
        local = _time(record).astimezone()
        facts = "".join(f" {name}={value}" for name, value in _extra(record).items())
        line = f"{local:%H:%M:%S} {record.levelname.lower():7} {record.getMessage()}{facts}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return printable(line)


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    found = {name: value for name, value in vars(record).items() if name not in _ORDINARY}
    return {**found, **trace_ids()}
