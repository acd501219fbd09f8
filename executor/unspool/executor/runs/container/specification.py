"""What a `run: container` task asks for, and the request to the engine that creates the container."""

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from unspool.definitions import errors
from unspool.definitions.durations import BadDuration, parse_duration
from unspool.definitions.json_value import Json
from unspool.eventstore.records import TaskRequest
from unspool.executor.outcome import Rejected, reject
from unspool.executor.runs.container import labels
from unspool.executor.runs.container.image import ImageName, parse_image
from unspool.executor.runs.container.rules import ContainerRules, Volume
from unspool.executor.runs.options import ProcessOptions, as_text, process_options, without_nul
from unspool.executor.runs.shell import shell_script

_NAME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,199}")
_NOT_IN_NAMES: Final = re.compile(r"[^a-zA-Z0-9_.-]+")
_POLICIES: Final = ("ifNotPresent", "always", "never")
_CLEANUPS: Final = ("always", "never", "eventually")
_LOOPBACK: Final = "127.0.0.1"
_MAX_LOG: Final = {"Type": "json-file", "Config": {"max-size": "1m"}}


@dataclass(frozen=True, slots=True)
class ContainerSpecification:
    """A container, as the task asks for it and as the operator allows it."""

    name: str
    image: ImageName
    command: str | None
    options: ProcessOptions
    ports: Mapping[int, str]
    """Ports of the host, and `80/tcp` of the container."""
    volumes: tuple[Volume, ...]
    pull_policy: str
    cleanup: str
    remove_after: int | None
    """Milliseconds after its end."""

    @property
    def labels(self) -> dict[str, str]:
        """The labels that say how the container ends."""
        known = {labels.AWAITED: str(self.options.awaits).lower(), labels.CLEANUP: self.cleanup}
        after = {} if self.remove_after is None else {labels.REMOVE_AFTER: str(self.remove_after)}
        return {**known, **after}


def prepare(request: TaskRequest, rules: ContainerRules) -> ContainerSpecification:
    """Reads the arguments of a `container` task.

    Raises:
        Rejected: an argument is invalid (`configuration`), or not allowed by the operator (`authorization`).
    """
    arguments = request.arguments
    command = arguments.get("command")
    cleanup, remove_after = _lifetime(arguments.get("lifetime"))
    return ContainerSpecification(
        name=_name(request),
        image=_image(arguments.get("image"), rules),
        command=None if command is None else without_nul(command, "command"),
        options=process_options(arguments),
        ports=_ports(arguments.get("ports"), rules),
        volumes=tuple(_volumes(arguments.get("volumes"), rules)),
        pull_policy=_one_of(arguments.get("pullPolicy", "ifNotPresent"), _POLICIES, "pullPolicy"),
        cleanup=cleanup,
        remove_after=remove_after,
    )


def _name(request: TaskRequest) -> str:
    """The name, or one of the form that the specification recommends; it is the same for each delivery."""
    written = request.arguments.get("name")
    if written is not None:
        name = as_text(written)
        if not _NAME.fullmatch(name):
            reject(f"a container cannot have the name {name!r}: letters, digits, '_', '.', '-', at most 200")
        return name
    workflow: Any = request.arguments.get("workflow") or {}
    key = uuid.uuid5(uuid.NAMESPACE_URL, request.idempotency_key)
    task = request.task.rpartition("/")[2]
    parts = (f"{workflow.get('name')}-{key}", f"{workflow.get('namespace')}-{task}")
    return _NOT_IN_NAMES.sub("-", ".".join(parts))[:200]


def _image(written: Json, rules: ContainerRules) -> ImageName:
    image = parse_image(as_text(written))
    if rules.images and not any(fnmatchcase(image.full, pattern) for pattern in rules.images):
        raise Rejected(
            errors.authorization(f"the image {image.full} is not allowed here (UNSPOOL_CONTAINER_IMAGES)")
        )
    return image


def _lifetime(written: Json) -> tuple[str, int | None]:
    lifetime = written if isinstance(written, dict) else {}
    cleanup = _one_of(lifetime.get("cleanup", "never"), _CLEANUPS, "lifetime.cleanup")
    if cleanup != "eventually":
        return cleanup, None
    try:
        return cleanup, parse_duration(lifetime.get("after")).milliseconds_from(0)
    except BadDuration as error:
        reject(f"lifetime.after: {error}")


def _one_of(value: Json, known: tuple[str, ...], what: str) -> str:
    if not isinstance(value, str) or value not in known:
        reject(f"{what} must be one of {', '.join(known)}, not {value!r}")
    return value


def _ports(written: Json, rules: ContainerRules) -> dict[int, str]:
    """The ports, as `{host: container}`; the container's may end with `/udp`."""
    if written is None:
        return {}
    if not isinstance(written, dict):
        reject("ports must be a map of ports of the host and those of the container")
    if written and rules.network == "none":
        raise Rejected(
            errors.authorization(
                "containers have no network here, and so no ports (UNSPOOL_CONTAINER_NETWORK)"
            )
        )
    return {_port(host): _container_port(inside) for host, inside in written.items()}


def _port(written: Json) -> int:
    text = as_text(written)
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65536):
        reject(f"{text!r} is not a port")
    return int(text)


def _container_port(written: Json) -> str:
    text, _, protocol = as_text(written).partition("/")
    if protocol not in {"", "tcp", "udp"}:
        reject(f"the protocol of a port is tcp or udp, not {protocol!r}")
    return f"{_port(text)}/{protocol or 'tcp'}"


def _volumes(written: Json, rules: ContainerRules) -> Iterator[Volume]:
    """The volumes, as `{host: container}`; the container's path may end with `:ro`."""
    if written is None:
        return
    if not isinstance(written, dict):
        reject("volumes must be a map of directories of the host and those of the container")
    for source, target in written.items():
        path, _, mode = without_nul(target, f"volume {source!r}").partition(":")
        if not path.startswith("/") or mode not in {"", "ro", "rw"}:
            reject(f"volume {source!r}: write the directory in the container as /PATH or /PATH:ro")
        if (allowed := rules.volumes.get(source)) is None:
            raise Rejected(
                errors.authorization(f"the volume {source!r} is not allowed here (UNSPOOL_CONTAINER_VOLUMES)")
            )
        yield Volume(source, path, read_only=mode == "ro" or allowed.read_only)


def create_request(
    container: ContainerSpecification,
    rules: ContainerRules,
    image_command: Iterable[str],
    more_labels: Mapping[str, str],
) -> dict[str, Json]:
    """Returns the request to the engine. It never asks for privileges.

    Args:
        container: what the task asks for.
        rules: of the operator.
        image_command: the default command of the image, if it has no entry point: arguments come after it.
        more_labels: beside those of the specification.
    """
    options = container.options
    has_stdin = bool(options.stdin)
    return {
        "Image": container.image.full,
        **_command(container, image_command),
        "Env": [f"{name}={value}" for name, value in options.environment.items()],
        "Labels": {**container.labels, **more_labels},
        "AttachStdin": has_stdin,
        "AttachStdout": options.awaits,
        "AttachStderr": options.awaits,
        "OpenStdin": has_stdin,
        "StdinOnce": has_stdin,
        "Tty": False,
        "ExposedPorts": {port: {} for port in container.ports.values()},
        "HostConfig": _host_config(container, rules),
    }


def _command(container: ContainerSpecification, image_command: Iterable[str]) -> dict[str, Json]:
    arguments = container.options.arguments
    if container.command is not None:
        script, parameters = shell_script(container.command, arguments)
        return {"Entrypoint": ["sh", "-c", script, "sh"], "Cmd": list(parameters)}
    return {"Cmd": [*image_command, *arguments]} if arguments else {}


def _host_config(container: ContainerSpecification, rules: ContainerRules) -> dict[str, Json]:
    limits: dict[str, Json] = {}
    if rules.processes:
        limits["PidsLimit"] = rules.processes
    if rules.memory:
        limits |= {"Memory": rules.memory, "MemorySwap": rules.memory}
    if rules.cpus:
        limits["NanoCpus"] = int(rules.cpus * 1_000_000_000)
    return {
        "Privileged": False,
        "CapDrop": ["ALL"],
        "CapAdd": list(rules.capabilities),
        "SecurityOpt": ["no-new-privileges"],
        "NetworkMode": rules.network,
        "AutoRemove": not container.options.awaits and container.cleanup == "always",
        "LogConfig": _MAX_LOG,
        "Mounts": [volume.mount for volume in container.volumes],
        "PortBindings": {
            inside: [{"HostIp": _LOOPBACK, "HostPort": str(host)}] for host, inside in container.ports.items()
        },
        **limits,
    }
