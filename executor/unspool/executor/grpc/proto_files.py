"""A `.proto` and all files that it imports, as one text.

The text is stored by its hash as any external resource, so an execution always uses the same files. Names in
`import` are relative to a directory that no file names. It is that of the `.proto` or one of those above it.
"""

import asyncio
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

import orjson

from unspool.definitions.errors import communication, configuration
from unspool.definitions.resource_address import absolute
from unspool.definitions.spelling import shown
from unspool.executor.documents.text import shown_address
from unspool.executor.outcome import FetchedText, Rejected
from unspool.executor.recent_texts import FetchAt

MOST_FILES: Final = 200
"""Files of one `.proto`, with all imports."""

MOST_LEVELS: Final = 12
"""Directories above the one of the `.proto` in which its imports are looked for."""

WELL_KNOWN: Final = "google/protobuf/"
"""The start of the names of files that come with the compiler. They are not fetched."""

_SKIPPED: Final = re.compile(
    r"""//[^\n]*+ | /\*(?:[^*]|\*(?!/))*+(?:\*/|\Z) | "(?:[^"\\\n]|\\.)*+"? | '(?:[^'\\\n]|\\.)*+'? """,
    re.VERBOSE,
)
_IMPORT: Final = re.compile(r"\bimport\s*+(?:(?:public|weak|option)\b\s*+)?((?:\x00\d++\x00\s*+)++);")
_PLACE: Final = re.compile(r"\x00(\d+)\x00")
_NAME: Final = re.compile(r"(?!-|\.{1,2}/)[\w.+-]+(?:/(?!\.{1,2}(?:/|$))[\w.+-]+)*", re.ASCII)
_MISSING: Final = frozenset({403, 404, 410})
"""The status of an address without a file; stores of objects answer 403."""


@dataclass(frozen=True, slots=True)
class ProtoFiles:
    """The files of a `.proto`, by the names with which they import each other."""

    main: str
    """The name of the `.proto` itself."""
    files: dict[str, str]

    def to_text(self) -> str:
        """The files as one text. The same files make the same text."""
        return orjson.dumps({"main": self.main, "files": self.files}, option=orjson.OPT_SORT_KEYS).decode()

    @classmethod
    def from_text(cls, text: str) -> "ProtoFiles":
        """The files in a text that `to_text` made. Raises `ValueError` for another text."""
        value = orjson.loads(text)
        if not (
            isinstance(value, dict) and value.keys() == {"main", "files"} and value["main"] in value["files"]
        ):
            raise ValueError("the text has no main file")
        if not all(_NAME.fullmatch(name) for name in value["files"]):
            raise ValueError("a name is not a relative path")
        return cls(value["main"], value["files"])


async def fetched_files(address: str, fetch: FetchAt, most_bytes: int) -> FetchedText:
    """Fetches a `.proto` and all that it imports, as one text.

    Args:
        address: of the `.proto`.
        fetch: fetches one file.
        most_bytes: of all files.

    Raises:
        Rejected: a file cannot be fetched, or there are too many.
    """
    search = _Search(address, fetch)
    main = (await fetch(address)).text
    found = dict.fromkeys(await _imports(main, address), "")
    waiting = deque(found)
    size = len(main)
    while waiting:
        name = waiting.popleft()
        found[name] = text = await search.text(name)
        size += len(text)
        new = [each for each in await _imports(text, name) if each not in found]
        found |= dict.fromkeys(new, "")
        waiting += new
        if size > most_bytes or len(found) >= MOST_FILES:
            most = f"{most_bytes} bytes or {MOST_FILES} files"
            detail = f"{shown_address(address)} and what it imports are more than {most}"
            raise Rejected(configuration(detail, title="Too many imports"))
    main_name = _free_name(address, found)
    return FetchedText(ProtoFiles(main_name, {main_name: main, **found}).to_text())


async def _imports(text: str, place: str) -> list[str]:
    """The names of the files that a file imports, without well-known ones. Raises `Rejected`."""
    names = await asyncio.to_thread(lambda: list(dict.fromkeys(imports_of(text))))
    for name in names:
        if len(name) > 200 or not _NAME.fullmatch(name):
            plain = shown_address(place)
            detail = f"{plain} imports '{shown(name)}', which is not the relative path of a file"
            raise Rejected(configuration(detail, title="Unusable import"))
    return [name for name in names if not name.startswith(WELL_KNOWN)]


def imports_of(text: str) -> Iterator[str]:
    """Yields the names in the `import` statements of a `.proto`, as they are written."""
    literals: list[str] = []

    def place(match: re.Match[str]) -> str:
        if match[0][0] == "/":
            return " "
        literals.append(match[0][1:-1])
        return f"\0{len(literals) - 1}\0"

    bare = _SKIPPED.sub(place, text.replace("\0", " "))
    for statement in _IMPORT.finditer(bare):
        yield "".join(literals[int(index)] for index in _PLACE.findall(statement[1]))


@dataclass(slots=True)
class _Search:
    """Looks for imported files in the directory of a `.proto`, and in the directories above it."""

    address: str
    fetch: FetchAt
    level: int = 0
    """How many directories above was the last file that was found; the next one is first looked for there."""
    levels: int = field(init=False)

    def __post_init__(self) -> None:
        directories = urlsplit(self.address).path.strip("/").count("/")
        self.levels = min(directories, MOST_LEVELS)

    async def text(self, name: str) -> str:
        """The text of a file. Raises `Rejected`."""
        for level in sorted(range(self.levels + 1), key=lambda level: (level != self.level, level)):
            address = absolute("../" * level + name, self.address)
            if address == self.address:
                continue
            try:
                text = (await self.fetch(address)).text
            except Rejected as rejected:
                if rejected.error.status not in _MISSING:
                    raise
            else:
                self.level = level
                return text
        plain = shown_address(self.address)
        detail = f"{plain} needs '{name}', which is neither in its directory nor in one above it"
        raise Rejected(communication(detail, title="Not Found", status=404))


def _free_name(address: str, taken: dict[str, str]) -> str:
    """A name for the `.proto` itself, which errors show: the last part of its address."""
    last = unquote(urlsplit(address).path.rpartition("/")[2])
    name = last if _NAME.fullmatch(last) and len(last) <= 200 else "main.proto"
    while name in taken:
        name = f"_{name}"
    return name
