"""What can go wrong with a store.

StoreError
├── StoreUnavailable   away or refusing for now: try again later
├── StoreMismatch      it was made by another release or with other fixed settings
├── CorruptHistory     an entry does not match its checksum or has an unknown format
└── NotFound           what was asked for by name is not there
"""


class StoreError(Exception):
    """The store could not do what was asked of it."""


class StoreUnavailable(StoreError):
    """The store is away or refuses for now (connection lost, disk full, memory full); try again."""


class StoreMismatch(StoreError):
    """The store was made with another layout, number of shards or URL scheme than is asked for now."""


class CorruptHistory(StoreError):
    """A history entry cannot be trusted."""


class NotFound(StoreError):
    """Nothing is stored under that name."""
