"""Settings of the HTTP API."""

from dataclasses import dataclass
from typing import Final

from unspool.eventstore.settings import setting

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """The API's address, limits and times."""

    host: str = setting("UNSPOOL_API_HOST", "127.0.0.1", "Address the API listens on")
    port: int = setting(
        "UNSPOOL_API_PORT", 8080, "Port the API listens on; 0 takes a free one", least=0, most=65535
    )
    names: str = setting(
        "UNSPOOL_API_NAMES",
        "",
        "Host names the API answers to, with commas; without any, on a loopback address, only its own",
    )
    max_definition_bytes: int = setting(
        "UNSPOOL_API_MOST_DEFINITION_BYTES", 1 << 20, "How large a submitted definition may be"
    )
    max_input_bytes: int = setting(
        "UNSPOOL_API_MOST_INPUT_BYTES", 1 << 20, "How large any other request body may be"
    )
    body_seconds: float = setting("UNSPOOL_API_BODY_SECONDS", 30.0, "How long a body may take to arrive")
    heartbeat_seconds: float = setting(
        "UNSPOOL_API_HEARTBEAT_SECONDS", 15.0, "How often a silent event stream shows that it lives"
    )
    stop_seconds: int = setting(
        "UNSPOOL_API_STOP_SECONDS",
        10,
        "How long requests may take to finish when the API is stopped",
        least=0,
    )

    @property
    def hosts(self) -> frozenset[str] | None:
        """The host names the API answers to, in lower case; None for any.

        On a loopback address only this machine can reach it, so any other name is an attack (DNS rebinding).
        """
        named = frozenset(name.strip().lower() for name in self.names.split(",") if name.strip())
        if named or self.host.lower() not in _LOOPBACK:
            return named or None
        return _LOOPBACK
