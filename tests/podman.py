"""A real Podman for tests: its HTTP API, a store of its own, and an image with the programs of busybox."""

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any

BUSYBOX = Path("/bin/busybox")
IMAGE = "docker.io/library/alpine:latest"
HELLO = "docker.io/library/hello-world:latest"

_PROGRAMS = (
    "sh",
    "cat",
    "echo",
    "sleep",
    "env",
    "head",
    "yes",
    "true",
    "printf",
    "touch",
    "ls",
    "kill",
    "nc",
)

_CONFIGURATION = """
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
"""


def missing() -> str | None:
    """Why there can be no Podman here; None if there can."""
    programs = [name for name in ("podman", "runc") if shutil.which(name) is None]
    if programs or not BUSYBOX.exists():
        return "podman, runc and busybox-static are not installed (.ci/install-services installs them)"
    return None if os.getuid() == 0 else "these tests run containers as root"


class _Connection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket(AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self._path)


@dataclass
class Podman:
    """A running Podman."""

    path: str

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def get(self, path: str, method: str = "GET") -> Any:
        """The answer to a request."""
        connection = _Connection(self.path)
        try:
            connection.request(method, path)
            answer = connection.getresponse().read()
        finally:
            connection.close()
        return json.loads(answer) if answer.strip() else None

    def containers(self, **labels: str) -> list[dict[str, Any]]:
        """All containers of executors."""
        filters = urllib.parse.quote(json.dumps({"label": ["io.unspool.run"]}))
        found = self.get(f"/containers/json?all=true&filters={filters}")
        return [each for each in found if labels.items() <= each["Labels"].items()]

    def running(self) -> list[str]:
        return [each["Id"] for each in self.containers() if each["State"] == "running"]

    def remove_all(self) -> None:
        for each in self.containers():
            self.get(f"/containers/{each['Id']}?force=true&v=true", "DELETE")


@contextmanager
def running_podman() -> Iterator[Podman]:
    """Runs Podman on an empty store, with two images that need no registry."""
    directory = Path(tempfile.mkdtemp(prefix="podman-", dir="/tmp"))  # Podman refuses long paths
    configuration = directory / "containers.conf"
    configuration.write_text(_CONFIGURATION)
    environment = {**os.environ, "CONTAINERS_CONF": str(configuration)}
    command = ["podman", "--root", str(directory / "store"), "--runroot", str(directory / "run")]
    command += ["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs", "--runtime", "runc"]
    _import_images(directory, command, environment)
    path = str(directory / "api.sock")
    service = subprocess.Popen(
        [*command, "system", "service", "--time", "0", f"unix://{path}"], env=environment
    )
    podman = Podman(path)
    try:
        _wait(podman)
        yield podman
        podman.remove_all()
    finally:
        service.terminate()
        service.wait(30)
        shutil.rmtree(directory, ignore_errors=True)


def _wait(podman: Podman) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            podman.get("/_ping")
        except OSError:
            assert time.monotonic() < deadline, "podman does not start"
            time.sleep(0.05)
        except json.JSONDecodeError:  # it answers "OK"
            return


def _import_images(directory: Path, command: list[str], environment: dict[str, str]) -> None:
    archive = directory / "image.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(BUSYBOX, "bin/busybox")
        for name in _PROGRAMS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        for name in ("tmp", "proc", "etc", "data"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(folder)
    for image, default in ((IMAGE, ["/bin/sh"]), (HELLO, ["/bin/echo", "Hello from Docker!"])):
        change = ["--change", f"CMD {json.dumps(default)}", "--change", "ENV PATH=/bin"]
        load = [*command, "import", *change, str(archive), image]
        done = subprocess.run(load, check=False, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
