"""Where the container engine is: Docker or Podman on this machine, or another one by its address."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from unspool.eventstore.settings import BadSetting

_UNIX: Final = "unix://"

_EXAMPLES: Final = "write unix:///PATH, or tcp://HOST:PORT without TLS"


class EngineAddress(NamedTuple):
    """The address of an engine: a socket file, or a host with a port."""

    path: str | None
    host: str = "localhost"
    port: int = 0

    def __str__(self) -> str:
        return f"{_UNIX}{self.path}" if self.path is not None else f"tcp://{self.authority}"

    @property
    def authority(self) -> str:
        """The host, an IPv6 address in brackets, with the port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def engine_address(configured: str, environment: Mapping[str, str] = os.environ) -> EngineAddress | None:
    """Returns the address of the engine: as configured, from `DOCKER_HOST`, or of a socket at a usual place.

    Returns None if there is none.

    Raises:
        BadSetting: an address cannot be used.
    """
    if written := configured or environment.get("DOCKER_HOST", ""):
        return parse_address(written)
    found = (path for path in _usual_sockets(environment) if Path(path).exists())
    path = next(found, None)
    return None if path is None else EngineAddress(path)


def parse_address(text: str) -> EngineAddress:
    """Returns the address in a text such as `unix:///run/podman/podman.sock`. Raises `BadSetting`."""
    if text.startswith(_UNIX) and text.removeprefix(_UNIX).startswith("/"):
        return EngineAddress(text.removeprefix(_UNIX))
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        if parts.scheme in {"tcp", "http"} and host.encode("idna") and parts.port:
            return EngineAddress(None, host, parts.port)
    except ValueError:
        pass
    raise BadSetting(f"UNSPOOL_CONTAINER_HOST and DOCKER_HOST cannot be {text!r}; {_EXAMPLES}")


def _usual_sockets(environment: Mapping[str, str]) -> tuple[str, ...]:
    own = environment.get("XDG_RUNTIME_DIR")
    rootless = (f"{own}/docker.sock", f"{own}/podman/podman.sock") if own else ()
    return ("/var/run/docker.sock", *rootless, "/run/podman/podman.sock")
