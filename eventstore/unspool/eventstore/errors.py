"""The errors of a store.

StoreError
├── StoreUnavailable   unavailable for now: retry later
│   └── KeyMissing     a payload is encrypted with a key that this process does not have
├── StoreMismatch      it has another layout or other fixed settings, or it lost its data
├── CorruptHistory     an entry does not match its checksum or has an unknown format
│   └── DamagedPayload an encrypted payload was changed or moved
├── DamagedArchive     the file of an archived history is damaged
└── NotFound           there is no such record
"""


class StoreError(Exception):
    """A call to the store failed."""


class StoreUnavailable(StoreError):
    """The store is unavailable for now (connection lost, disk full, memory full); retry later."""


class KeyMissing(StoreUnavailable):
    """A payload is encrypted with a key that this process does not have; retry when it has the key."""

    def __init__(self, key: str, what: str, why: str) -> None:
        """Takes the id of the key, what it encrypts, and why it is missing."""
        super().__init__(f"the {what} is encrypted with the key {key!r}: {why}")
        self.key = key


class StoreMismatch(StoreError):
    """The store cannot be used: its layout, shards or URL scheme differ, or its data is lost."""


class CorruptHistory(StoreError):
    """A history entry is damaged or has an unknown format."""


class DamagedPayload(CorruptHistory):
    """An encrypted payload cannot be decrypted: it was changed, or moved from another record."""


class DamagedArchive(StoreError):
    """The file of an archived history is damaged or incomplete."""


class NotFound(StoreError):
    """There is no such record."""
