"""A PostgreSQL server of its own for DBOS, as `initdb` sets it up: every commit is synced to disk."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import processes

# PostgreSQL refuses to run as root. The account that its packages create is used instead.
ACCOUNT = "postgres" if os.geteuid() == 0 else None


@contextlib.contextmanager
def server(programs: Path) -> Iterator[tuple[str, int]]:
    """Runs a new cluster; yields a URL in it (DBOS creates the database) and the server's process id."""
    port = processes.free_port()
    with tempfile.TemporaryDirectory() as folder:
        if ACCOUNT:
            shutil.chown(folder, ACCOUNT)
        create = ["-D", folder, "--username", "bench", "--auth", "trust", "--no-instructions"]
        _run(programs / "initdb", create, folder).wait(60)
        listen = ["-D", folder, "-p", str(port), "-h", "127.0.0.1", "-k", folder]
        running = _run(programs / "postgres", listen, folder)
        try:
            processes.wait_for_port(port, running)
            yield f"postgresql://bench@127.0.0.1:{port}/bench", running.pid
        finally:
            processes.stop(running, signal.SIGINT)  # a fast shutdown: it waits for no client


def _run(program: Path, arguments: list[str], folder: str) -> subprocess.Popen[bytes]:
    silent = subprocess.DEVNULL
    return subprocess.Popen([program, *arguments], cwd=folder, user=ACCOUNT, stdout=silent, stderr=silent)
