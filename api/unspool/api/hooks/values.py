"""Texts of an event that are taken from what a service sent: from its headers and from its JSON body."""

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from unspool.api.hooks.received import HEADER_NAME, Received
from unspool.api.problems import HttpProblem
from unspool.definitions.json_value import Json

MAX_TEXT: Final = 1024
"""Characters of an attribute of an event."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PATH: Final = re.compile(r"\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+|\[[0-9]{1,4}\])*")
_STEP: Final = re.compile(r"\.([A-Za-z0-9_-]+)|\[([0-9]+)\]")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class HeaderValue:
    """The value of a header."""

    name: str
    """In lower case."""

    def __str__(self) -> str:
        return f"header {self.name}"

    def text(self, received: Received, _data: Json) -> str | None:
        """Returns the value; None if the header is absent or empty.

        Raises:
            BadHeader: the header cannot be read.
            HttpProblem: 422, if the value cannot be an attribute of an event.
        """
        found = received.header_text(self.name)
        return None if found is None else checked(found, str(self))


@dataclass(frozen=True, slots=True)
class MemberValue:
    """A member of the body, such as `.data.object.id` or `.entry[0].id`."""

    path: str

    def __str__(self) -> str:
        return f"member {self.path} of the body"

    def text(self, _received: Received, data: Json) -> str | None:
        """Returns the member, which is text or a whole number; None if there is no such member.

        Raises:
            HttpProblem: 422, if the member cannot be an attribute of an event.
        """
        for name, place in _STEP.findall(self.path):
            if name:
                data = data.get(name) if isinstance(data, dict) else None
            else:
                data = data[int(place)] if isinstance(data, list) and int(place) < len(data) else None
        if data is None or data == "":
            return None
        if isinstance(data, bool) or not isinstance(data, str | int):
            raise HttpProblem(422, f"the {self} must be text or a whole number")
        return checked(str(data), str(self))


Value: TypeAlias = HeaderValue | MemberValue


@dataclass(frozen=True, slots=True)
class Template:
    """A text with values in it."""

    parts: tuple[str | Value, ...]

    def text(self, received: Received, data: Json) -> str:
        """Returns the text with its values.

        Raises:
            BadHeader: a header cannot be read.
            HttpProblem: 422, if a value is absent or cannot be an attribute of an event.
        """
        return "".join(
            part if isinstance(part, str) else required(part, received, data) for part in self.parts
        )

    def headers(self) -> list[str]:
        """Returns the names of the headers that it reads, in lower case."""
        return [part.name for part in self.parts if isinstance(part, HeaderValue)]


def required(value: Value, received: Received, data: Json) -> str:
    """Returns a value that must be there.

    Raises:
        BadHeader: a header cannot be read.
        HttpProblem: 422, if the value is absent or cannot be an attribute of an event.
    """
    found = value.text(received, data)
    if found is None:
        raise HttpProblem(422, f"the {value} is missing")
    return found


def checked(text: str, what: str) -> str:
    """Returns a text that can be an attribute of an event; else raises 422."""
    if len(text) > MAX_TEXT:
        raise HttpProblem(422, f"the {what} is longer than {MAX_TEXT} characters")
    if _CONTROL.search(text):
        raise HttpProblem(422, f"the {what} has control characters")
    return text


def member(path: str) -> MemberValue:
    """Reads the path of a member of the body.

    Raises:
        ValueError: it is not a path; the message says what one is.
    """
    if not _PATH.fullmatch(path):
        raise ValueError("expected a path in the body, such as .data.id or .entry[0].id")
    return MemberValue(path)


def template(text: str) -> Template:
    """Reads a text with placeholders: `{X-Header}` or `{.member}`.

    Raises:
        ValueError: a placeholder is not valid; the message says what one is.
    """
    literals = _PLACEHOLDER.split(text)
    if any(_CONTROL.search(part) or "{" in part or "}" in part for part in literals[::2]):
        raise ValueError("expected text with {X-Header} or {.member}, without other braces or line breaks")
    parts = [_placeholder(part) if place % 2 else part for place, part in enumerate(literals)]
    return Template(tuple(part for part in parts if part != ""))


def _placeholder(inner: str) -> Value:
    if _PATH.fullmatch(inner):
        return MemberValue(inner)
    if HEADER_NAME.fullmatch(inner):
        return HeaderValue(inner.lower())
    raise ValueError("expected {X-Header} with the name of a header, or {.member} with a path in the body")
