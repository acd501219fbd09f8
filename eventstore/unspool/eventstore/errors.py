"""The errors of a store.

StoreError
├── StoreUnavailable   unavailable for now: retry later
├── StoreMismatch      it has another layout or other fixed settings, or it lost its data
├── CorruptHistory     an entry does not match its checksum or has an unknown format
├── DamagedArchive     the file of an archived history is damaged
└── NotFound           there is no such record
"""


class StoreError(Exception):
    """A call to the store failed."""


class StoreUnavailable(StoreError):
    """The store is unavailable for now (connection lost, disk full, memory full); retry later."""


class StoreMismatch(StoreError):
    """The store cannot be used: its layout, shards or URL scheme differ, or its data is lost."""


class CorruptHistory(StoreError):
    """A history entry is damaged or has an unknown format."""


class DamagedArchive(StoreError):
    """The file of an archived history is damaged or incomplete."""


class NotFound(StoreError):
    """There is no such record."""
