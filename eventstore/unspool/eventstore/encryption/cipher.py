"""Encrypts and decrypts payloads with AES-256-GCM (NIST SP 800-38D).

A payload is bound to its place: the kind of record, the tenant, the execution and the part of it are
associated data. So a payload that was moved to another record cannot be decrypted there.

Each execution has a key of its own, which is derived from a key of the ring by HMAC-SHA256. A nonce is
random. So the limit of 2^32 payloads for a key (SP 800-38D, 8.3) is one for each execution.
"""

import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from unspool.eventstore.consumers import PayloadKeys
from unspool.eventstore.encryption.key_ring import NO_KEYS, Key, KeyFile, KeyRing
from unspool.eventstore.encryption.settings import KEYS_VARIABLE, EncryptionSettings
from unspool.eventstore.errors import DamagedPayload, KeyMissing
from unspool.eventstore.settings import BadSetting

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PURPOSE: Final = "unspool payload 1"
_NONCE_BYTES: Final = 12
_DERIVED_KEYS: Final = 8_192
"""Executions whose keys are in memory, at most."""


class Place(NamedTuple):
    """Where a payload belongs."""

    kind: str
    tenant: str
    owner: str
    """The execution; or what else has a key of its own, with a character that no id of an execution has."""
    part: str | int = ""

    def __str__(self) -> str:
        part = "" if self.part == "" else f" {self.part}"
        return f"{self.kind}{part} of {self.owner}"


class Cipher:
    """Encrypts with the first key of a ring, and decrypts with the key that a payload names.

    An encrypted payload is a text: the id of the key, a colon, and nonce and ciphertext in base64. Without
    a key before the colon, it is the payload itself in base64.
    """

    def __init__(self, ring: Callable[[], KeyRing], *, encrypts: bool) -> None:
        """Takes the keys, and whether it encrypts payloads. It decrypts them in any case."""
        self.encrypts = encrypts
        self._ring = ring
        self._aead = lru_cache(_DERIVED_KEYS)(_derived)

    @property
    def keys(self) -> PayloadKeys:
        """The ids of the keys."""
        ids = tuple(key.id for key in self._ring().keys)
        return PayloadKeys(ids[0] if self.encrypts else "", ids)

    def encrypt(self, data: bytes, place: Place) -> str:
        """Encrypts a payload for its place, or encodes it if this does not encrypt."""
        if not self.encrypts:
            return f":{b64encode(data).decode()}"
        key = self._ring().keys[0]
        nonce = os.urandom(_NONCE_BYTES)
        encrypted = self._aead(key, place.tenant, place.owner).encrypt(nonce, data, orjson.dumps([*place]))
        return f"{key.id}:{b64encode(nonce + encrypted).decode()}"

    def decrypt(self, text: str, place: Place) -> bytes:
        """Decrypts a payload of a place.

        Raises:
            KeyMissing: the ring does not have the key.
            DamagedPayload: it was changed, or belongs to another place.
        """
        id_, _, encoded = text.partition(":")
        if not id_:
            return _decoded(encoded, place)
        key = self._ring().key(id_)
        if key is None:
            raise KeyMissing(id_[:64], str(place), self._why_missing())
        try:
            stored = b64decode(encoded, validate=True)
            aead = self._aead(key, place.tenant, place.owner)
            return aead.decrypt(stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], orjson.dumps([*place]))
        except Exception as error:  # of base64, of a short text, and of the library
            raise DamagedPayload(
                f"the {place} cannot be decrypted with the key {id_!r}: it was changed, or moved here"
            ) from error

    def _why_missing(self) -> str:
        known = ", ".join(repr(key.id) for key in self._ring().keys)
        return f"{KEYS_VARIABLE} has only {known}" if known else f"{KEYS_VARIABLE} is not set"


def cipher_of(settings: EncryptionSettings) -> Cipher:
    """The cipher of the settings; without a file it encrypts nothing and has no key.

    Raises:
        BadSetting: the file cannot be read or is not valid, or the library is not installed.
    """
    if not settings.keys_file:
        return Cipher(lambda: NO_KEYS, encrypts=False)
    if find_spec("cryptography") is None:
        raise BadSetting(f"{KEYS_VARIABLE} needs a library: pip install 'unspool[encryption]'")
    return Cipher(KeyFile(Path(settings.keys_file)).ring, encrypts=not settings.decrypt_only)


def ring_of(settings: EncryptionSettings) -> KeyRing:
    """The keys of the settings.

    Raises:
        BadSetting: the file cannot be read or is not valid.
    """
    return KeyFile(Path(settings.keys_file)).ring() if settings.keys_file else NO_KEYS


def _decoded(encoded: str, place: Place) -> bytes:
    try:
        return b64decode(encoded, validate=True)
    except ValueError as error:
        raise DamagedPayload(f"the {place} is not base64: it was changed") from error


def _derived(key: Key, tenant: str, owner: str) -> "AESGCM":
    """The key of one execution, ready for use."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - of an extra

    return AESGCM(hmac.digest(key.secret, orjson.dumps([_PURPOSE, tenant, owner]), "sha256"))
