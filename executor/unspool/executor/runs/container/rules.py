"""What an operator allows containers: images, directories, network, capabilities, resources."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unspool.definitions.json_value import Json
from unspool.eventstore.settings import BadSetting
from unspool.executor.settings import MEBIBYTE, ExecutorSettings

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
_SHARED: Final = frozenset({"host"})
"""Networks that would give a container the network of the host."""

_CAPABILITY: Final = re.compile(r"[A-Z_]+")


@dataclass(frozen=True, slots=True)
class Volume:
    """A directory of the host, or a named volume of the engine, in a container."""

    source: str
    target: str
    """The directory in the container."""
    read_only: bool

    @property
    def mount(self) -> dict[str, Json]:
        """As the engine wants it."""
        kind = "bind" if self.source.startswith("/") else "volume"
        return {"Type": kind, "Source": self.source, "Target": self.target, "ReadOnly": self.read_only}


@dataclass(frozen=True, slots=True)
class ContainerRules:
    """The rules of an operator."""

    images: tuple[str, ...]
    """Patterns of complete names; empty: all images."""
    volumes: Mapping[str, Volume]
    """The allowed volumes by source."""
    network: str
    capabilities: tuple[str, ...]
    memory: int
    """Bytes; 0: no limit."""
    processes: int
    """0: no limit."""
    cpus: float
    """0: no limit."""

    @classmethod
    def of(cls, settings: ExecutorSettings) -> "ContainerRules":
        """Reads the rules. Raises `BadSetting`."""
        return cls(
            images=tuple(_listed(settings.container_images)),
            volumes={volume.source: volume for volume in map(_volume, _listed(settings.container_volumes))},
            network=_network(settings.container_network),
            capabilities=tuple(_capability(name) for name in _listed(settings.container_capabilities)),
            memory=settings.container_memory_mb * MEBIBYTE,
            processes=settings.container_max_processes,
            cpus=settings.container_cpus,
        )


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _volume(text: str) -> Volume:
    source, _, mode = text.partition(":")
    if mode not in {"", "ro", "rw"} or not (source.startswith("/") or _NAME.fullmatch(source)):
        raise BadSetting(f"UNSPOOL_CONTAINER_VOLUMES: write /PATH, /PATH:ro or NAME, not {text!r}")
    return Volume(source, "", read_only=mode == "ro")


def _network(name: str) -> str:
    if name in _SHARED or not _NAME.fullmatch(name):
        raise BadSetting(
            f"UNSPOOL_CONTAINER_NETWORK cannot be {name!r}; write none, bridge, or a network's name"
        )
    return name


def _capability(name: str) -> str:
    if not _CAPABILITY.fullmatch(name) or name == "ALL":
        raise BadSetting(f"UNSPOOL_CONTAINER_CAPABILITIES: {name!r} is not a capability such as CHOWN")
    return name
