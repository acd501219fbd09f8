"""A store that encrypts payloads before an adapter gets them, and decrypts what the adapter returns.

It wraps any adapter. So all payloads that an adapter writes (to a database, a file, a log of changes) are
encrypted. A call without payloads goes to the adapter directly. A method of the port that no base class names
makes this class no `EventStore`, so none is forgotten.
"""

from unspool.eventstore.encryption.buses import EncryptedBuses
from unspool.eventstore.encryption.deliveries import EncryptedDeliveries
from unspool.eventstore.encryption.histories import EncryptedHistories
from unspool.eventstore.encryption.missing_keys import MissingKeys
from unspool.eventstore.encryption.payloads import Payloads
from unspool.eventstore.encryption.texts import EncryptedTexts
from unspool.eventstore.passed_calls import PassedCalls
from unspool.eventstore.port import EventStore


class EncryptedStore(EncryptedHistories, EncryptedDeliveries, EncryptedBuses, EncryptedTexts, PassedCalls):
    """An `EventStore` on another one."""

    def __init__(self, inner: EventStore, payloads: Payloads) -> None:
        """Takes the store of an adapter, and what encrypts and decrypts.

        Without encryption, plain payloads pass. Those that are encrypted are still found, so that
        a process without keys does not take them for data.
        """
        super().__init__(inner)
        self._payloads = payloads
        self._missing = MissingKeys()
        self.missing_keys = self._missing.ids
