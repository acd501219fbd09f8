"""Real container engines for tests, Podman and Docker, each with a store of its own and images of busybox."""

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
IMAGES = {
    "docker.io/library/alpine:latest": ["/bin/sh"],
    "docker.io/library/hello-world:latest": ["/bin/echo", "Hello from Docker!"],
}
"""The images and their commands."""

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


def missing(engine: str) -> str | None:
    """Why an engine cannot run here; None if it can."""
    programs = {"podman": ("podman", "runc"), "docker": ("dockerd", "containerd", "runc")}[engine]
    if any(shutil.which(name) is None for name in programs) or not BUSYBOX.exists():
        return (
            f"{', '.join(programs)} and busybox-static are not installed (.ci/install-services installs them)"
        )
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
class ContainerEngine:
    """A running engine."""

    path: str

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def get(self, path: str, method: str = "GET", body: bytes | None = None) -> Any:
        """The answer to a request."""
        connection = _Connection(self.path)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse().read()
        finally:
            connection.close()
        if not answer.strip():
            return None
        return json.loads(answer.splitlines()[0])

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
def running_podman() -> Iterator[ContainerEngine]:
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
    podman = ContainerEngine(path)
    try:
        _wait(podman)
        yield podman
        podman.remove_all()
    finally:
        service.terminate()
        service.wait(30)
        shutil.rmtree(directory, ignore_errors=True)


def _wait(engine: ContainerEngine) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            engine.get("/_ping")
        except OSError:
            assert time.monotonic() < deadline, "the engine does not start"
            time.sleep(0.05)
        except json.JSONDecodeError:  # it answers "OK"
            return


@contextmanager
def running_docker() -> Iterator[ContainerEngine]:
    """Runs Docker on an empty store, with images that need no registry, and without networks."""
    directory = Path(tempfile.mkdtemp(prefix="docker-", dir="/tmp"))
    path = str(directory / "api.sock")
    command = ["dockerd", "--host", f"unix://{path}", "--pidfile", str(directory / "pid")]
    command += ["--data-root", str(directory / "data"), "--exec-root", str(directory / "exec")]
    command += ["--storage-driver", "vfs", "--bridge", "none", "--iptables=false", "--ip6tables=false"]
    with (directory / "log").open("w") as log:
        service = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    docker = ContainerEngine(path)
    try:
        _wait(docker)
        for image, default in IMAGES.items():
            repository, _, tag = image.removeprefix("docker.io/library/").partition(":")
            changes = urllib.parse.urlencode([("changes", line) for line in _changes(default)])
            archive = _archive(directory).read_bytes()
            docker.get(f"/images/create?fromSrc=-&repo={repository}&tag={tag}&{changes}", "POST", archive)
        yield docker
        docker.remove_all()
    finally:
        service.terminate()
        service.wait(60)
        shutil.rmtree(directory, ignore_errors=True)


def _import_images(directory: Path, command: list[str], environment: dict[str, str]) -> None:
    for image, default in IMAGES.items():
        changes = [part for line in _changes(default) for part in ("--change", line)]
        load = [*command, "import", *changes, str(_archive(directory)), image]
        done = subprocess.run(load, check=False, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def _changes(default: list[str]) -> list[str]:
    return [f"CMD {json.dumps(default)}", "ENV PATH=/bin"]


def _archive(directory: Path) -> Path:
    archive = directory / "image.tar"
    with tarfile.open(archive, "w") as tar:
        for name, mode in (("bin", 0o755), ("proc", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, mode
            tar.addfile(folder)
        tar.add(BUSYBOX, "bin/busybox")
        for name in _PROGRAMS:
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return archive
