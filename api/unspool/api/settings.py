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

    hooks: str = setting("UNSPOOL_HOOKS", "", "YAML file with the webhooks; see docs/events.md")

    @property
    def hosts(self) -> frozenset[str] | None:
        """The host names the API answers to, in lower case; None for any.

        On a loopback address only this machine can reach it, so any other name is an attack (DNS rebinding).
        """
        named = frozenset(name.strip().lower() for name in self.names.split(",") if name.strip())
        if named or self.host.lower() not in _LOOPBACK:
            return named or None
        return _LOOPBACK
