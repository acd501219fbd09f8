"""Settings of the HTTP API."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

from unspool.eventstore.settings import BadSetting, setting

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_ORIGIN: Final = re.compile(r"https?://[^/\s*,?#@\\]+")

_NAME: Final = re.compile(r"[a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The API's address, limits and times."""

    host: str = setting("UNSPOOL_API_HOST", "127.0.0.1", "Address the API listens on")
    port: int = setting(
        "UNSPOOL_API_PORT", 8080, "Port the API listens on; 0 chooses a free port", least=0, most=65535
    )
    names: str = setting(
        "UNSPOOL_API_NAMES",
        "",
        "Accepted host names, comma-separated; default: the loopback names on a loopback address, else all",
    )
    max_definition_bytes: int = setting(
        "UNSPOOL_API_MOST_DEFINITION_BYTES", 1 << 20, "Maximum size of a definition in bytes"
    )
    max_input_bytes: int = setting(
        "UNSPOOL_API_MOST_INPUT_BYTES", 1 << 20, "Maximum size of any other request body in bytes"
    )
    body_seconds: float = setting(
        "UNSPOOL_API_BODY_SECONDS", 30.0, "Maximum seconds for a request body to arrive"
    )
    heartbeat_seconds: float = setting(
        "UNSPOOL_API_HEARTBEAT_SECONDS", 15.0, "Seconds between heartbeats of an idle event stream"
    )
    stop_seconds: int = setting(
        "UNSPOOL_API_STOP_SECONDS",
        10,
        "Seconds that requests may take to finish when the API is stopped",
        least=0,
    )

    tenant_start_rate: float = setting(
        "UNSPOOL_API_TENANT_START_RATE",
        0.0,
        "Executions a second that callers may start in one tenant, for all API processes together; 0: any",
    )
    tenant_start_burst: int = setting(
        "UNSPOOL_API_TENANT_START_BURST",
        100,
        "Executions of one tenant that may be started at once after a pause",
    )
    hooks: str = setting("UNSPOOL_HOOKS", "", "YAML file with the webhooks; see docs/events.md")

    cors_origins: str = setting(
        "UNSPOOL_CORS_ORIGINS",
        "",
        "Other sites whose pages may call the API, comma-separated, such as https://app.example.com",
    )

    def __post_init__(self) -> None:
        """Checks the host names and the origins.

        Raises:
            BadSetting: one of them is no host name, or no origin.
        """
        for name in self._named:
            if not (_NAME.fullmatch(name) or _is_ipv6(name)):
                raise BadSetting(
                    f"UNSPOOL_API_NAMES must list host names such as api.example.com, not {name!r}"
                )
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise BadSetting(
                    f"UNSPOOL_CORS_ORIGINS must list origins such as https://app.example.com, not {origin!r}"
                )

    @property
    def origins(self) -> frozenset[str]:
        """The origins of other sites whose pages may call the API."""
        return _listed(self.cors_origins)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return self.host.lower() in _LOOPBACK

    @property
    def hosts(self) -> frozenset[str] | None:
        """The host names the API answers to, in lower case; None for any.

        On a loopback address only this machine can reach it, so any other name is an attack (DNS rebinding).
        """
        named = self._named
        if named or not self.is_loopback:
            return named or None
        return _LOOPBACK

    @property
    def _named(self) -> frozenset[str]:
        return _listed(self.names)


def _listed(text: str) -> frozenset[str]:
    """Returns the names or origins in a list, in lower case, as browsers send them."""
    return frozenset(part.strip().lower() for part in text.split(",") if part.strip())


def _is_ipv6(name: str) -> bool:
    try:
        ipaddress.IPv6Address(name)
    except ValueError:
        return False
    return True
