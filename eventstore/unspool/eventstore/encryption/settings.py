"""Settings of the encryption of payloads."""

from dataclasses import dataclass
from typing import Final

from unspool.eventstore.settings import setting

KEYS_VARIABLE: Final = "UNSPOOL_ENCRYPTION_KEYS_FILE"


@dataclass(frozen=True, slots=True)
class EncryptionSettings:
    """Which keys encrypt the payloads in a store."""

    keys_file: str = setting(
        KEYS_VARIABLE,
        "",
        "File with the keys for payloads in the store, a line each; the first one encrypts, all decrypt",
    )
    decrypt_only: bool = setting(
        "UNSPOOL_ENCRYPTION_DECRYPT_ONLY",
        False,
        "Read encrypted payloads, but write plain ones: while encryption is being turned on or off",
    )
