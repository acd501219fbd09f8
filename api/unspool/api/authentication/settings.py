"""Settings of authentication."""

import re
from dataclasses import dataclass
from typing import Final

from unspool.api.authentication.jwt_settings import check_url
from unspool.eventstore.settings import BadSetting, setting

MODES: Final = ("", "on", "off")

_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+")


@dataclass(frozen=True, slots=True)
class AuthenticationSettings:
    """Whether callers must authenticate, and their limits."""

    mode: str = setting(
        "UNSPOOL_AUTH",
        "",
        "Whether callers of the API need a key: on or off; default: off, which only loopback addresses allow",
    )
    cache_seconds: float = setting(
        "UNSPOOL_AUTH_CACHE_SECONDS",
        5.0,
        "Seconds that an API process remembers a key; a revoked key is refused after that time at the latest",
    )
    session_seconds: int = setting(
        "UNSPOOL_SESSION_SECONDS", 43_200, "Seconds after which a login of the dashboard ends"
    )
    https: bool = setting(
        "UNSPOOL_API_HTTPS",
        False,
        "Whether browsers reach the API by https, through a proxy; its cookies are then sent only by https",
    )
    public_url: str = setting(
        "UNSPOOL_API_PUBLIC_URL",
        "",
        "Origin at which browsers reach the API, such as https://unspool.example.com; issuers return to it",
    )
    key_rate: float = setting(
        "UNSPOOL_API_KEY_RATE", 0.0, "Requests a second of one key, for all API processes together; 0: any"
    )
    key_burst: int = setting(
        "UNSPOOL_API_KEY_BURST", 50, "Requests of one key that may follow each other at once after a pause"
    )

    def __post_init__(self) -> None:
        """Checks the mode and the origin.

        Raises:
            BadSetting: one of them is not valid.
        """
        if self.mode not in MODES:
            raise BadSetting(f"UNSPOOL_AUTH must be on or off, not {self.mode!r}")
        if self.public_url:
            check_url("UNSPOOL_API_PUBLIC_URL", self.public_url)
            if not _ORIGIN.fullmatch(self.public_url):
                raise BadSetting("UNSPOOL_API_PUBLIC_URL must be an origin: https://, a host, no path")

    @property
    def on(self) -> bool:
        """Whether callers must authenticate."""
        return self.mode == "on"
