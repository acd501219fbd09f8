"""The key ring: a file with the keys that encrypt and decrypt payloads.

Each line has an id and a key of 256 bits in base64. Empty lines and lines that begin with `#` are ignored.
The first key encrypts; all of them decrypt.
"""

import binascii
import logging
import re
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from unspool.eventstore.encryption.settings import KEYS_VARIABLE
from unspool.eventstore.regular_files import read_regular
from unspool.eventstore.settings import BadSetting

log = logging.getLogger(__name__)

KEY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""Ids of keys. They are in the store, in clear."""

KEY_BYTES: Final = 32

_MOST_BYTES: Final = 1024 * 1024
"""Bytes of a key file."""

_LOOK_SECONDS: Final = 1.0
"""How often it looks whether the file has changed, at most."""


class Key(NamedTuple):
    """A key of the ring."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.id!r})"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys, the one that encrypts first."""

    keys: tuple[Key, ...] = ()

    def key(self, id_: str) -> Key | None:
        """The key with this id."""
        return next((key for key in self.keys if key.id == id_), None)


NO_KEYS: Final = KeyRing()


def new_key(id_: str) -> str:
    """Makes a random key, as a line of the file.

    Raises:
        BadSetting: the id is not valid.
    """
    if not KEY_ID.fullmatch(id_):
        raise BadSetting(f"the id of a key must match {KEY_ID.pattern}, not {id_!r}")
    return f"{id_} {b64encode(secrets.token_bytes(KEY_BYTES)).decode()}"


def parsed_keys(text: str) -> KeyRing:
    """Reads the lines of a key file.

    Raises:
        BadSetting: a line is no key, an id occurs twice, or there is no key. The message has no key.
    """
    keys: dict[str, Key] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            key = _parsed_key(number, line)
            if key.id in keys:
                raise BadSetting(f"line {number}: the id {key.id} occurs twice")
            keys[key.id] = key
    if not keys:
        raise BadSetting("it has no key; `unspool encryption new-key` makes one")
    return KeyRing(tuple(keys.values()))


def _parsed_key(number: int, line: str) -> Key:
    match line.split():
        case [id_, encoded] if KEY_ID.fullmatch(id_):
            pass
        case _:
            raise BadSetting(f"line {number}: not `ID BASE64`")
    try:
        secret = b64decode(encoded, validate=True)
    except binascii.Error:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise BadSetting(f"line {number}: the key {id_} is not {KEY_BYTES} bytes in base64")
    return Key(id_, secret)


class KeyFile:
    """A key file. It is read again when it changes, so that keys are added without a restart."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Reads the file.

        Raises:
            BadSetting: it cannot be read, or is not valid.
        """
        self._path = path
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._read_as: tuple[int, ...] | None = self._signature()
        self._ring = self._read()

    def ring(self) -> KeyRing:
        """The keys, as the file had them within the last second. A change that is not valid is ignored."""
        now = self._monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._look()
        return self._ring

    def _look(self) -> None:
        signature = self._signature()
        if signature == self._read_as:
            return
        self._read_as = signature
        try:
            self._ring = self._read()
        except BadSetting as error:
            log.error("%s; the keys from before are used", error, extra={"action": "keys_not_read"})  # noqa: TRY400
        else:
            ids = [key.id for key in self._ring.keys]
            log.info("the keys for payloads are now %s", ", ".join(ids), extra={"action": "keys_read"})

    def _signature(self) -> tuple[int, ...] | None:
        """What changes when the file is written or replaced."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _read(self) -> KeyRing:
        try:
            return parsed_keys(read_regular(self._path, _MOST_BYTES).decode())
        except (OSError, UnicodeDecodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise BadSetting(f"{KEYS_VARIABLE}: {self._path}: {cause}") from None
        except BadSetting as error:
            raise BadSetting(f"{KEYS_VARIABLE}: {self._path}: {error}") from None
