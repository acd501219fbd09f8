"""Reads archived files line by line, so that no file fills the memory, and checks their checksums.

`unspool.eventstore.archives` has the form of the files.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterable, Iterator
from io import BufferedReader
from typing import BinaryIO, Final

import orjson

from unspool.eventstore.errors import DamagedArchive

MIB: Final = 1024 * 1024

LONGEST_LINE: Final = 128 * MIB
"""Bytes of a line. The longest one has the texts of all external resources of an execution."""

MOST_BYTES: Final = 1024 * MIB
"""Bytes of all lines of a history, or of published events."""

MOST_BYTES_OF_DEAD_LETTER: Final = 64 * MIB

_GZIP: Final = b"\x1f\x8b"
"""How a file in gzip begins (RFC 1952)."""

_WITH_END: Final = b'{"archive":'
"""How a dead letter begins whose file has a last line with the checksum."""


class Lines:
    """The lines of a file, without their ends. They can be read once."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.texts: dict[str, str] = {}
        """The texts of external resources by their hashes, known after the last line was read."""

    def __iter__(self) -> Iterator[bytes]:
        """Yields the lines.

        Raises:
            DamagedArchive: the file is damaged or too large.
        """
        return (line.rstrip(b"\r\n") for line in self._lines)


class ArchivedLines(Lines):
    """The lines of an archived file before the last one, which has their number and their SHA-256."""

    def __iter__(self) -> Iterator[bytes]:
        """Yields the lines, and checks the file at its end.

        Raises:
            DamagedArchive: the file is damaged, incomplete or too large, or is no archived file.
        """
        sha256, count, last = hashlib.sha256(), 0, b""
        for line in self._lines:
            if last:
                sha256.update(last)
                count += 1
                yield last.rstrip(b"\n")
            last = line
        self.texts = _checked_end(last, count, sha256.hexdigest())


def lines_of(file: BufferedReader) -> Lines:
    """The lines of an archived file, or of a file that is not in gzip, which has no checksum.

    Raises:
        DamagedArchive: see `Lines`; it is raised by the iteration.
    """
    if file.peek(len(_GZIP)).startswith(_GZIP):
        return ArchivedLines(_decompressed(file, MOST_BYTES))
    return Lines(_bounded(file, MOST_BYTES))


def read_dead_letter(file: BinaryIO) -> bytes:
    """Reads the JSON document of an archived dead letter.

    Files of earlier versions have no last line; only gzip has a checksum of them.

    Raises:
        DamagedArchive: the file is damaged, incomplete or too large, or has another form.
    """
    lines = list(_decompressed(file, MOST_BYTES_OF_DEAD_LETTER))
    if len(lines) != 1 or lines[0].startswith(_WITH_END):
        lines = list(ArchivedLines(lines))
    if len(lines) != 1:
        raise DamagedArchive("it is no archived dead letter")
    return lines[0]


def _decompressed(file: BinaryIO, most_bytes: int) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file, mode="rb") as decompressed:
        try:
            yield from _bounded(decompressed, most_bytes)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise DamagedArchive(f"the compressed data is damaged: {error}") from None


def _bounded(file: BinaryIO | gzip.GzipFile, most_bytes: int) -> Iterator[bytes]:
    """Yields the lines of a file, and keeps one in memory."""
    left = most_bytes
    while line := file.readline(min(LONGEST_LINE, left) + 1):
        if len(line) > left:
            raise DamagedArchive(f"it has more than {most_bytes // MIB} MiB")
        if len(line) > LONGEST_LINE:
            raise DamagedArchive(f"a line has more than {LONGEST_LINE // MIB} MiB")
        left -= len(line)
        yield line


def _checked_end(last: bytes, count: int, sha256: str) -> dict[str, str]:
    """Returns the texts in the last line.

    Raises:
        DamagedArchive: it is no last line, or is that of other lines.
    """
    try:
        end = orjson.loads(last)["end"]
        written, texts = (end["events"], end["sha256"]), end["resources"]
    except (ValueError, TypeError, KeyError):
        raise DamagedArchive("it has no last line with the checksum") from None
    if written != (count, sha256):
        raise DamagedArchive("the lines do not match their checksum")
    return dict(texts)
